"""The supported formats, and the detection of a file's format.

To add a format, write its reader in a file of its own and add a line to FORMATS. Imports no reader, since
readers of untrusted bytes load in the sandbox only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import PurePath
from types import MappingProxyType

from service.errors import UnreadableDocument, UnsupportedMediaType

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Word 97 to 2003, and encrypted Office documents


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
        "service.nlp.extraction.plain_text:read_text",
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
        ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",),
        "service.nlp.extraction.docx:read_docx",
        title="a Word document",
        signature=b"PK\x03\x04",
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


def detect_format(data: bytes, *, filename: str | None, media_type: str | None) -> Format:
    """Return the format of a file by its extension, else its media type, else its first bytes.

    Raises:
        UnsupportedMediaType: the format is not supported; the message lists the supported ones.
    """
    extension = PurePath((filename or "").replace("\\", "/")).suffix.lower().lstrip(".")
    declared = _without_parameters(media_type)
    known = _BY_ANY_EXTENSION.get(extension) or _BY_MEDIA_TYPE.get(declared)
    if known is None and extension == "" and declared in _GENERIC_MEDIA_TYPES:
        known = _detect_by_signature(data)
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
    """Raise UnreadableDocument if the bytes belong to another format than the declared one."""
    if declared.extension == "docx" and data.startswith(_OLE):
        raise UnreadableDocument(
            "The file is an encrypted or an old Word document. Remove the password, save it as .docx "
            "and send the new file."
        )
    if not declared.accepts(data):
        raise UnreadableDocument(
            f"The file is named as {declared.title} but is not one. Give it the extension of its real format."
        )
    signatures = (_OLE, *(f.signature for f in FORMATS if f.signature))
    if not declared.signature and data.startswith(signatures):
        raise UnreadableDocument(
            f"The file is named .{declared.extension} but holds another format. "
            "Give it the extension of its real format."
        )


def _without_parameters(media_type: str | None) -> str:
    if not media_type or "\n" in media_type or "\r" in media_type:
        return ""
    return media_type.partition(";")[0].strip().lower()


def _detect_by_signature(data: bytes) -> Format | None:
    for known in FORMATS:
        if known.signature and data.startswith(known.signature):
            return known
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return BY_EXTENSION["txt"]
