"""The supported formats, and the detection of a file's format.

To add a format, write its reader in a file of its own and add a line to FORMATS. Imports no reader, since
readers of untrusted bytes load in the sandbox only.

The content decides between formats that have a signature, whatever the name says; the name decides between
text formats. Office documents are zips: the sandbox, which opens the zip, tells one kind from another.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import PurePath
from types import MappingProxyType
from typing import Any

from service.errors import UnreadableDocument, UnsupportedMediaType

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Office 97 to 2003, encrypted Office documents, Outlook's .msg
_SAVE_ANEW = (
    "The file is an encrypted or an old Office document, or an Outlook message. Remove the password, save it "
    "as .docx, .xlsx, .pptx or .eml, and send the new file."
)
_ZIP = b"PK\x03\x04"
_EMPTY_ZIP = b"PK\x05\x06"
_ZIP_READER = "service.nlp.extraction.zip_archive:read_zip_family"
_WORD, _EXCEL, _POWERPOINT = (
    f"application/vnd.openxmlformats-officedocument.{kind}"
    for kind in ("wordprocessingml", "spreadsheetml", "presentationml")
)


@dataclass(frozen=True, slots=True)
class Format:
    """One format: how it is named, recognized and read.

    `reader` is "module:function". The function takes the bytes, a TextBuilder, and the keyword arguments that
    `options` names ("charset", "max_pages").
    """

    extension: str
    media_types: tuple[str, ...]
    """The registered media type comes first."""
    reader: str
    options: tuple[str, ...] = ()
    other_extensions: tuple[str, ...] = ()
    is_plain_text: bool = False
    """Whether the reader is safe and light enough to run in the service's process."""
    title: str = ""
    """Name for people, with its article; for formats that have a signature."""
    signature: bytes = b""
    """Bytes that every file of this format has at its beginning."""
    signature_within: int = 0
    """The signature may be anywhere in this many bytes; 0 if it must come first."""

    def accepts(self, data: bytes) -> bool:
        """Return whether `data` has this format's signature; True if the format has none."""
        end = self.signature_within or len(self.signature)
        return self.signature in data[:end]

    @property
    def is_zip(self) -> bool:
        """Whether files of this format are zips, and only their content tells which kind of zip."""
        return self.signature == _ZIP

    def call(self, *, charset: str | None, max_pages: int) -> tuple[str, dict[str, Any]]:
        """Return the function that reads a file of this format, and its keyword arguments."""
        values = {"charset": charset, "max_pages": max_pages, "declared": self.extension}
        if self.is_zip:
            return _ZIP_READER, {name: values[name] for name in ("declared", "max_pages")}
        return self.reader, {name: values[name] for name in self.options}


FORMATS = (
    Format(
        "txt",
        ("text/plain",),
        "service.nlp.extraction.plain_text:read_text",
        ("charset",),
        other_extensions=("text",),
        is_plain_text=True,
    ),
    Format(
        "md",
        ("text/markdown", "text/x-markdown"),
        "service.nlp.extraction.plain_text:read_markdown",
        ("charset",),
        other_extensions=("markdown",),
        is_plain_text=True,
    ),
    Format(
        "csv",
        ("text/csv", "application/csv"),
        "service.nlp.extraction.plain_text:read_csv",
        ("charset",),
        is_plain_text=True,
    ),
    Format(
        "html",
        ("text/html", "application/xhtml+xml"),
        "service.nlp.extraction.html_page:read_html",
        ("charset",),
        other_extensions=("htm", "xhtml"),
    ),
    Format(
        "pdf",
        ("application/pdf", "application/x-pdf"),
        "service.nlp.extraction.pdf:read_pdf",
        ("max_pages",),
        title="a PDF",
        signature=b"%PDF-",
        signature_within=1_024,  # as PDF readers accept it
    ),
    Format(
        "docx",
        (
            f"{_WORD}.document",
            f"{_WORD}.template",
            "application/vnd.ms-word.document.macroenabled.12",
        ),
        "service.nlp.extraction.docx:read_docx",
        other_extensions=("docm", "dotx", "dotm"),
        title="a Word document",
        signature=_ZIP,
    ),
    Format(
        "xlsx",
        (
            f"{_EXCEL}.sheet",
            f"{_EXCEL}.template",
            "application/vnd.ms-excel.sheet.macroenabled.12",
        ),
        "service.nlp.extraction.xlsx:read_xlsx",
        other_extensions=("xlsm", "xltx", "xltm"),
        title="an Excel workbook",
        signature=_ZIP,
    ),
    Format(
        "pptx",
        (
            f"{_POWERPOINT}.presentation",
            f"{_POWERPOINT}.slideshow",
            f"{_POWERPOINT}.template",
            "application/vnd.ms-powerpoint.presentation.macroenabled.12",
        ),
        "service.nlp.extraction.pptx:read_pptx",
        other_extensions=("pptm", "ppsx", "potx"),
        title="a PowerPoint presentation",
        signature=_ZIP,
    ),
    Format(
        "eml",
        ("message/rfc822",),
        "service.nlp.extraction.eml:read_eml",
        ("max_pages",),
    ),
    Format(
        "zip",
        ("application/zip", "application/x-zip-compressed", "application/x-zip"),
        "service.nlp.extraction.zip_archive:read_zip",
        ("max_pages",),
        title="a zip archive",
        signature=_ZIP,
    ),
)

TEXT_FIELD_READER = "service.nlp.extraction.plain_text:read_utf8"
"""Reads the text of a form field or JSON field."""

BY_EXTENSION: Mapping[str, Format] = MappingProxyType({f.extension: f for f in FORMATS})
"""Every supported format, by its usual file extension."""
_BY_ANY_EXTENSION = {
    extension: f for f in FORMATS for extension in (f.extension, *f.other_extensions)
}
_BY_MEDIA_TYPE = {media_type: f for f in FORMATS for media_type in f.media_types}
_GENERIC_MEDIA_TYPES = {
    "",
    "application/octet-stream",
    "binary/octet-stream",
    "application/x-www-form-urlencoded",
}


_HEAD_BYTES = 8_192
_HTML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s{0,100}<(?:!doctype\s+html|html)\b", re.IGNORECASE)
_HEADER = re.compile(rb"[A-Za-z0-9-]{1,76}:[ \t]")  # an e-mail begins with a header
_MAIL_HEADER = re.compile(
    rb"^(from|to|subject|date|message-id|mime-version|received|return-path):",
    re.IGNORECASE | re.MULTILINE,
)


def detect_format(data: bytes, *, filename: str | None, media_type: str | None) -> Format:
    """Return the format of a file: by its signature, else its extension, else its media type.

    A zip of any kind has the declared format if that is a zip, else the format zip.

    Raises:
        UnsupportedMediaType: the format is not supported; the message lists the supported ones.
    """
    extension = PurePath((filename or "").replace("\\", "/")).suffix.lower().lstrip(".")
    declared = _without_parameters(media_type)
    known = _BY_ANY_EXTENSION.get(extension) or _BY_MEDIA_TYPE.get(declared)
    signed = _detect_by_signature(data)
    if signed is not None and not (known is not None and known.signature == signed.signature):
        return signed
    if known is None and extension == "" and declared in _GENERIC_MEDIA_TYPES:
        known = _detect_text(data)
    if known is None and data.startswith(_OLE):
        raise UnsupportedMediaType(_SAVE_ANEW)
    if known is None:
        readable = ", ".join(f".{extension}" for extension in BY_EXTENSION)
        raise UnsupportedMediaType(f"This type is not supported. Send one of: {readable}.")
    return known


def declared_charset(media_type: str | None) -> str | None:
    """Return the charset parameter of a media type, or None."""
    if not media_type or "\n" in media_type or "\r" in media_type:
        return None
    message = Message()
    message["Content-Type"] = media_type
    return message.get_content_charset()


def check_signature(declared: Format, data: bytes) -> None:
    """Raise UnreadableDocument if the bytes are not of the declared format."""
    if data.startswith(_OLE):
        raise UnreadableDocument(_SAVE_ANEW)
    if data.startswith(_EMPTY_ZIP):
        raise UnreadableDocument("The zip archive is empty.")
    if not declared.accepts(data):
        raise UnreadableDocument(
            f"The file is named as {declared.title} but is not one. Give it the extension of its real format."
        )


def _without_parameters(media_type: str | None) -> str:
    if not media_type or "\n" in media_type or "\r" in media_type:
        return ""
    return media_type.partition(";")[0].strip().lower()


def _detect_by_signature(data: bytes) -> Format | None:
    if data.startswith(_ZIP):
        return BY_EXTENSION["zip"]
    signed = (f for f in FORMATS if f.signature and not f.is_zip)
    return next((f for f in signed if data.startswith(f.signature)), None)


def _detect_text(data: bytes) -> Format | None:
    if _HTML_START.match(data):
        return BY_EXTENSION["html"]
    head = data[:_HEAD_BYTES].removeprefix(codecs.BOM_UTF8).lstrip()
    if _HEADER.match(head) and len({m.lower() for m in _MAIL_HEADER.findall(head)}) > 1:
        return BY_EXTENSION["eml"]
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return BY_EXTENSION["txt"]
