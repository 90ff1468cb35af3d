"""What an e-mail says, whichever way its program writes it."""

import base64
import quopri
from email.message import EmailMessage

import pytest

from service.nlp.extraction.extractor import Extractor
from tests.support import documents, office_files
from tests.support.documents import blocks_of
from tests.support.office_files import attach

HEAD = b"From: a@b\nSubject: Words\n"


def message_of(text="Parts are late.\n", **headers):
    message = EmailMessage()
    message["Subject"] = headers.get("subject", "Words")
    message.set_content(text)
    return message


def parts_of(message):
    extractor = Extractor(**documents.limits())
    extracted = extractor.extract(message.as_bytes(), filename="a.eml", media_type=None)
    return {part.name: part.problem for part in extracted.layout.parts if part.name}


def test_eml_of_html_alone_reads_the_page():
    data = HEAD + b"Content-Type: text/html; charset=utf-8\n\n<style>x</style><p>L\xc3\xa4te"
    assert blocks_of(data, "a.eml") == ["Words", "L\u00e4te"]


@pytest.mark.parametrize(
    ("plain", "page", "read"),
    [
        ("Parts are late.", "<p>Parts are late.</p>", "Parts are late."),
        ("Use HTML.", "<p>Parts are late, the pumps fail, and nobody pays for them.</p>", None),
    ],
)
def test_eml_with_alternatives_reads_the_one_that_says_more(plain, page, read):
    message = message_of(plain)
    message.add_alternative(page, subtype="html")
    expected = read or "Parts are late, the pumps fail, and nobody pays for them."
    assert blocks_of(message.as_bytes(), "a.eml") == ["Words", expected]


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-8", "koi8-r"])
def test_eml_body_and_subject_in_another_charset_are_decoded(charset):
    message = EmailMessage()
    word = "\u0414\u043e\u043c" if charset == "koi8-r" else "L\u00e4te"
    message["Subject"] = word
    message.set_content(word, charset=charset, cte="base64")
    assert blocks_of(message.as_bytes(), "a.eml") == [word, word]


def test_eml_attached_message_is_a_part_with_its_own_attachments():
    inner = message_of("The pumps fail.", subject="Inner")
    attach(inner, "a.txt", b"Fire in the plant.")
    outer = message_of()
    outer.add_attachment(inner)
    assert parts_of(outer) == {"Inner": None, "Inner > a.txt": None}


def test_eml_unreadable_body_does_not_hide_an_attachment():
    message = EmailMessage()
    message["Subject"] = "Words"
    message.set_content(b"\0\1\2", maintype="text", subtype="plain", cte="base64")
    attach(message, "risks.xlsx", office_files.workbook())
    parts = parts_of(message)
    assert "holds other data" in parts.pop("body")
    assert parts == {"risks.xlsx > Register": None, "risks.xlsx > Notes": None}


ENCODED = HEAD + b"Content-Transfer-Encoding: base64\n\n" + base64.b64encode(b"Parts are late.")


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + ENCODED,
        b"\r\n \n" + ENCODED,
        ENCODED.replace(b"base64", b"base64 "),
        ENCODED.replace(b"base64", b"BASE64 (of the gateway)"),
        ENCODED.replace(b"From: a@b", b"From: a@b\nscanned by the gateway"),
        ENCODED.replace(b"From: a@b", b"From: a@b\nscanned").replace(b"\n", b"\r\n"),
    ],
)
def test_eml_body_is_decoded_whatever_stands_around_its_headers(data):
    assert blocks_of(data, "a.eml") == ["Words", "Parts are late."]


def test_eml_wrapped_subject_without_an_indent_is_read_whole():
    data = ENCODED.replace(b"Words", b"The budget\nis tight")
    assert blocks_of(data, "a.eml") == ["The budget\n is tight", "Parts are late."]


def test_eml_body_without_a_blank_line_above_is_read():
    assert blocks_of(HEAD + b"Parts are late.\nNote: why?\n\nMore.", "a.eml")[0] == "Words"
    data = HEAD + b"Parts are late.\nNote: nobody knows.\n\nMore."
    assert "Parts are late." in blocks_of(data, "a.eml")


QUOTING = b"Parts are late.\nSubject: quoted risk\nFrom: someone\nPumps fail.\n\nMore."


@pytest.mark.parametrize(
    "head", [HEAD, HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"]
)
def test_eml_body_that_quotes_headers_without_a_blank_line_above_is_read(head):
    read = " ".join(blocks_of(head + QUOTING, "a.eml"))
    assert all(text in read for text in ("Parts are late.", "quoted risk", "Pumps fail.", "More."))


def test_eml_body_that_repeats_headers_without_a_blank_line_above_is_read():
    data = HEAD + b"MIME-Version: 1.0\nParts are late.\nMIME-Version: 1.0\nPumps fail.\n\nMore."
    assert "Pumps fail." in " ".join(blocks_of(data, "a.eml"))


@pytest.mark.parametrize("encoding", ["8bit\u00e4", "\u00e4", "8bit \u00e4", "\u00b2\u00a08bit"])
def test_eml_with_an_odd_transfer_encoding_is_read(encoding):
    data = HEAD + f"Content-Transfer-Encoding: {encoding}\n\nParts are late.".encode()
    assert blocks_of(data, "a.eml") == ["Words", "Parts are late."]


def test_eml_part_that_was_cut_off_is_named_with_the_remedy():
    data = (
        HEAD
        + b"Content-Type: text/plain; name=a.txt\nContent-Transfer-Encoding: base64\n\nUGFydHMgYXJlI"
    )
    extracted = Extractor(**documents.limits()).extract(data, filename="a.eml", media_type=None)
    (part,) = extracted.layout.unread_parts()
    assert part.problem.endswith("Ask the sender to send the e-mail again.")


@pytest.mark.parametrize("kind", ["message/rfc822", "message/global"])
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_eml_attached_message_is_decoded_by_its_own_encoding(kind, encoding):
    inner = message_of("The pumps fail = a risk.", subject="Inner")
    attach(inner, "a.txt", b"Fire in the plant.")
    encode = {"base64": base64.encodebytes, "quoted-printable": quopri.encodestring}
    packed = encode.get(encoding, bytes)(inner.as_bytes())
    head = HEAD + b"Content-Type: multipart/mixed; boundary=outer\n\n--outer\n"
    own = f"Content-Type: {kind}\nContent-Transfer-Encoding: {encoding}\n\n".encode()
    data = head + own + packed + b"\n--outer--\n"
    expected = ["Words", "Inner", "The pumps fail = a risk.", "Fire in the plant."]
    assert blocks_of(data, "a.eml") == expected


@pytest.mark.parametrize(
    "part",
    [
        b"Content-Type: text/plain; name=a.txt\nbroken\nContent-Transfer-Encoding: base64\n\nUGFydHM=",
        b"Content-Type: text/plain; name=a.txt\nContent-Transfer-Encoding: base64\n\nUGFydHMgYXJlI",
    ],
)
def test_eml_part_that_cannot_be_decoded_is_named(part):
    head = HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nParts are late.\n--b\n"
    extractor = Extractor(**documents.limits())
    extracted = extractor.extract(head + part + b"\n--b--\n", filename="a.eml", media_type=None)
    assert [part.name for part in extracted.layout.unread_parts()] == ["a.txt"]
    assert extracted.text == "Words\nParts are late.\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
@pytest.mark.parametrize(
    ("subject", "read"),
    [
        ("L\u00e4te \u201cparts\u201d", "L\u00e4te \u201cparts\u201d"),
        ("L\u00e4te =?utf-8?b?cGFydHM=?= f\u00fcr \u2026", "L\u00e4te parts f\u00fcr \u2026"),
        ("=?us-ascii?q?L=C3=A4te?=", "L\u00e4te"),
        (r"C:\users =?utf-8?b?cGFydHM=?=", r"C:\users parts"),
    ],
)
def test_eml_subject_with_unmarked_letters_is_decoded(subject, read, encoding):
    data = HEAD.replace(b"Words", subject.encode(encoding)) + b"\nParts."
    assert blocks_of(data, "a.eml") == [read, "Parts."]


def test_eml_attached_text_is_read_in_its_charset():
    message = message_of()
    word = "\u0414\u043e\u043c"
    message.add_attachment(word, filename="a.txt", charset="koi8-r", cte="base64")
    assert blocks_of(message.as_bytes(), "a.eml") == ["Words", "Parts are late.", word]
