"""How a file's format is detected, and which bytes contradict it."""

import importlib

import pytest

from service.errors import UnreadableDocument, UnsupportedMediaType
from service.nlp.extraction.media_types import (
    BY_EXTENSION,
    FORMATS,
    TEXT_FIELD_READER,
    check_signature,
    declared_charset,
    detect_format,
)

PDF, ZIP, OLE = b"%PDF-1.7", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


@pytest.mark.parametrize(
    ("data", "filename", "media_type", "expected"),
    [
        (b"words", "a.pdf", "text/plain", "pdf"),
        (b"words", "A.PDF", None, "pdf"),
        (b"words", "folder\\a.markdown", None, "md"),
        (b"words", "a.htm", None, "html"),
        (b"words", "a.bin", "application/pdf", "pdf"),
        (b"words", None, "text/csv; charset=utf-8", "csv"),
        (b"words", None, "TEXT/CSV", "csv"),
        (PDF, None, None, "pdf"),
        (ZIP, "upload", "application/octet-stream", "zip"),
        (ZIP, "a.docx", None, "docx"),
        (ZIP, "a.xlsm", None, "xlsx"),
        (ZIP, "a.txt", "text/plain", "zip"),
        (PDF, "a.docx", None, "pdf"),
        (PDF, "a.exe", None, "pdf"),
        (b"<!DOCTYPE html><p>words", None, None, "html"),
        (b"From: a@b\nSubject: words\n\nwords", None, None, "eml"),
        (b"\xef\xbb\xbf\r\nFrom: a@b\nSubject: words\n\nwords", None, None, "eml"),
        (b"Note: words\n\nwords", None, None, "txt"),
        (b"words", None, "message/rfc822", "eml"),
        (b"words", None, "", "txt"),
        (b"words", None, "text/csv\r\nX: y", "txt"),
    ],
)
def test_detect_format_goes_by_signature_then_extension_then_media_type_then_text(
    data, filename, media_type, expected
):
    detected = detect_format(data, filename=filename, media_type=media_type)
    assert detected is BY_EXTENSION[expected]


@pytest.mark.parametrize(
    ("data", "filename", "media_type"),
    [
        (b"words", "a.xyz", None),
        (b"words", "a.exe", "application/octet-stream"),
        (b"words", None, "image/png"),
        (b"\xff\xfe\xfd", None, None),
    ],
)
def test_detect_format_unknown_lists_the_formats_that_are_read(data, filename, media_type):
    with pytest.raises(UnsupportedMediaType) as caught:
        detect_format(data, filename=filename, media_type=media_type)
    assert ".txt, .md, .csv, .html, .pdf, .docx, .xlsx, .pptx, .eml, .zip" in caught.value.message


@pytest.mark.parametrize("filename", ["a.doc", "a.xls", "a.ppt", "a.msg", "a"])
def test_detect_format_of_an_old_office_document_says_what_to_save_it_as(filename):
    with pytest.raises(UnsupportedMediaType, match="Remove the password, save it"):
        detect_format(OLE, filename=filename, media_type=None)


@pytest.mark.parametrize(
    ("extension", "data", "message"),
    [
        ("pdf", b"words", "named as a PDF but is not one"),
        ("pdf", b" " * 1_024 + PDF, "named as a PDF but is not one"),
        ("docx", b"words", "named as a Word document but is not one"),
        ("docx", OLE, "Remove the password"),
        ("csv", OLE, "Remove the password"),
        ("zip", b"PK\x05\x06", "empty"),
    ],
)
def test_check_signature_of_another_format_raises_unreadable_document(extension, data, message):
    with pytest.raises(UnreadableDocument, match=message):
        check_signature(BY_EXTENSION[extension], data)


@pytest.mark.parametrize(
    ("extension", "data"),
    [("pdf", PDF), ("pdf", b" " * 1_000 + PDF), ("docx", ZIP), ("txt", b"words"), ("md", b"")],
)
def test_check_signature_of_the_format_passes(extension, data):
    check_signature(BY_EXTENSION[extension], data)


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        (None, None),
        ("text/plain", None),
        ("text/plain; charset=KOI8-R", "koi8-r"),
        ('text/plain; charset="utf-16"', "utf-16"),
        ("text/plain; charset=utf-8\n", None),
    ],
)
def test_declared_charset_is_the_parameter_of_the_media_type(media_type, expected):
    assert declared_charset(media_type) == expected


@pytest.mark.parametrize("reader", sorted({f.reader for f in FORMATS} | {TEXT_FIELD_READER}))
def test_reader_of_every_format_is_a_function(reader):
    module, _, name = reader.partition(":")
    assert callable(getattr(importlib.import_module(module), name))
