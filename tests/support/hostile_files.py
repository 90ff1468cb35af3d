"""Builds hostile workbooks, presentations, e-mails and archives: bombs, loops, broken structures."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from email.message import EmailMessage

from tests.support import documents, office_files

_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SLIDES = "http://schemas.openxmlformats.org/presentationml/2006/main"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
LAUGHS = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9)
)


def _packed(parts: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{_TYPES}"/>')
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def rels(*targets: tuple[str, str]) -> str:
    items = "".join(
        f'<Relationship Id="r{n}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for n, (kind, target) in enumerate(targets)
    )
    return f'<Relationships xmlns="{_RELATIONS}">{items}</Relationships>'


def sheet_xml(body: str) -> str:
    return f'<worksheet xmlns="{_SHEETS}"><sheetData>{body}</sheetData></worksheet>'


def workbook(
    *sheets: str | bytes, strings: str = "", styles: str = "", **more: str | bytes
) -> bytes:
    """Return a workbook of these sheets' XML; `more` adds or replaces parts."""
    listed = "".join(
        f'<sheet name="S{n}" sheetId="{n + 1}" r:id="r{n}"/>' for n in range(len(sheets))
    )
    targets = [("worksheet", f"worksheets/s{n}.xml") for n in range(len(sheets))]
    targets += [("sharedStrings", "sharedStrings.xml"), ("styles", "styles.xml")]
    parts: dict[str, str | bytes] = {
        "xl/workbook.xml": f'<workbook xmlns="{_SHEETS}" xmlns:r="{_OFFICE}">'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": rels(*targets),
        "xl/sharedStrings.xml": f'<sst xmlns="{_SHEETS}">{strings}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{_SHEETS}">{styles}</styleSheet>',
    }
    parts |= {f"xl/worksheets/s{n}.xml": sheet for n, sheet in enumerate(sheets)}
    return _packed(parts | more)


def presentation(*slides: str, listed: int | None = None, **more: str) -> bytes:
    """Return a presentation of these slides' XML; `listed` repeats the first slide in the list."""
    numbers = [0] * listed if listed else range(len(slides))
    ids = "".join(f'<p:sldId id="{n}" r:id="r{n}"/>' for n in numbers)
    parts: dict[str, str | bytes] = {
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{_SLIDES}" xmlns:r="{_OFFICE}">'
        f"<p:sldIdLst>{ids}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": rels(
            *(("slide", f"slides/s{n}.xml") for n in range(len(slides)))
        ),
    }
    parts |= {f"ppt/slides/s{n}.xml": slide for n, slide in enumerate(slides)}
    return _packed(parts | more)


def slide(body: str, *, prolog: str = "") -> str:
    return f'{prolog}<p:sld xmlns:p="{_SLIDES}" xmlns:a="{_DRAWING}">{body}</p:sld>'


def _cell(text: str, reference: str = "A1") -> str:
    return f'<c r="{reference}" t="inlineStr"><is><t>{text}</t></is></c>'


def _nested_zip(depth: int, *, copies: int = 1) -> bytes:
    data = office_files.archive(("a.txt", b"Budget is tight."))
    for _ in range(depth):
        data = office_files.archive(*((f"{n}.zip", data) for n in range(copies)))
    return data


def _patched(data: bytes, at: bytes, offset: int, value: bytes) -> bytes:
    """Return `data` with `value` at `offset` from each occurrence of `at`."""
    changed, start = bytearray(data), data.find(at)
    while start >= 0:
        changed[start + offset : start + offset + len(value)] = value
        start = data.find(at, start + 1)
    return bytes(changed)


def _overlapping(copies: int) -> bytes:
    """Return a zip whose list names the same compressed bytes many times."""
    data = office_files.archive(("a.txt", b"word " * 2_000_000))
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entries = data[start:end] * copies
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, copies, copies, len(entries), start, 0)
    return data[:start] + entries + tail


def _mail(body: bytes, *headers: bytes) -> bytes:
    return b"\n".join((b"From: a@b", b"Subject: Words", *headers)) + b"\n\n" + body


def _deep_mime(depth: int) -> bytes:
    head = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(depth)
    )
    return b"From: a@b\nSubject: Deep\n" + head + b"Content-Type: text/plain\n\nBudget is tight.\n"


def _mail_in_mail(depth: int) -> bytes:
    data = _mail(b"Budget is tight.")
    for _ in range(depth):
        data = _mail(data, b"Content-Type: message/rfc822", b"MIME-Version: 1.0")
    return data


def _mail_with(name: str, data: bytes) -> bytes:
    message = EmailMessage()
    message["Subject"] = "Words"
    message.set_content("Budget is tight.\n")
    office_files.attach(message, name, data)
    return message.as_bytes()


def _many_parts(n: int) -> bytes:
    part = b"--b\nContent-Type: application/x-none\nContent-Disposition: attachment\n\nx\n"
    return _mail(part * n + b"--b--\n", b"Content-Type: multipart/mixed; boundary=b")


_ROW = "<row>" + _cell("Budget is tight.") + "</row>"
_ZEROS = bytes(40_000_000)
_PARAGRAPH = "<a:p><a:r><a:t>Budget is tight.</a:t></a:r></a:p>"

WORKBOOKS: dict[str, Callable[[], bytes]] = {
    "bomb of rows": lambda: workbook(sheet_xml("<row/>" * 46_000_000)),
    "bomb of one long string": lambda: workbook(
        _ROW, strings=f"<si><t>{'a' * 90_000_000}</t></si>"
    ),
    "one string in many cells": lambda: workbook(
        sheet_xml("<row>" + '<c t="s"><v>0</v></c>' * 100_000 + "</row>"),
        strings=f"<si><t>{'long ' * 20_000}</t></si>",
    ),
    "a row of 2,500,000 cells": lambda: workbook(
        sheet_xml("<row>" + "<c><v>1</v></c>" * 2_500_000 + "</row>")
    ),
    "1,100,000 cells": lambda: workbook(
        sheet_xml(("<row>" + "<c><v>1</v></c>" * 100 + "</row>") * 11_000)
    ),
    "cells at the far corner": lambda: workbook(
        sheet_xml("".join(f'<row r="1048576">{_cell("x", "XFD1048576")}</row>' for _ in range(99)))
    ),
    "column of letters": lambda: workbook(sheet_xml(f"<row>{_cell('x', 'Z' * 100_000)}</row>")),
    "dimension of everything": lambda: workbook(
        sheet_xml(_ROW).replace("<sheetData>", '<dimension ref="A1:XFD1048576"/><sheetData>')
    ),
    "5,000 sheets": lambda: workbook(*[sheet_xml(_ROW)] * 5_000),
    "entities": lambda: workbook(f"{LAUGHS}]>" + sheet_xml(f"<row>{_cell('&j;')}</row>")),
    "entity in the strings": lambda: workbook(
        sheet_xml(_ROW),
        **{"xl/sharedStrings.xml": f"{LAUGHS}]><sst><si><t>&j;</t></si></sst>"},
    ),
    "external entity": lambda: workbook(
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + sheet_xml("&e;")
    ),
    "broken xml": lambda: workbook("<worksheet><sheetData><row><c>"),
    "not xml": lambda: workbook(b"\0\1\2" * 1_000),
    "elements nested 100,000 deep": lambda: workbook(
        sheet_xml("<row>" * 100_000 + "</row>" * 100_000)
    ),
    "sheet that refers to itself": lambda: workbook(
        sheet_xml(_ROW),
        **{"xl/worksheets/_rels/s0.xml.rels": rels(("drawing", "s0.xml"), ("comments", "s0.xml"))},
    ),
    "drawing that refers to itself": lambda: workbook(
        sheet_xml(_ROW),
        **{
            "xl/worksheets/_rels/s0.xml.rels": rels(("drawing", "d.xml")),
            "xl/worksheets/d.xml": f'<x xmlns:a="{_DRAWING}">{_PARAGRAPH}</x>',
            "xl/worksheets/_rels/d.xml.rels": rels(*[("chart", "d.xml")] * 50_000),
        },
    ),
    "target outside the package": lambda: workbook(
        sheet_xml(_ROW),
        **{"xl/_rels/workbook.xml.rels": rels(("worksheet", "../../../../etc/passwd"))},
    ),
    "dates out of range": lambda: workbook(
        sheet_xml("<row>" + "".join(f'<c s="0"><v>{v}</v></c>' for v in _NUMBERS) + "</row>"),
        styles='<cellXfs><xf numFmtId="14"/></cellXfs>',
    ),
    "string numbers out of range": lambda: workbook(
        sheet_xml("<row>" + "".join(f'<c t="s"><v>{v}</v></c>' for v in _NUMBERS) + "</row>")
    ),
    "1,000,000 styles": lambda: workbook(
        sheet_xml(_ROW), styles="<cellXfs>" + '<xf numFmtId="14"/>' * 1_000_000 + "</cellXfs>"
    ),
    "no workbook part": lambda: _packed({"xl/other.xml": "<x/>"}),
    "truncated": lambda: office_files.workbook()[:3_000],
}
_NUMBERS = (
    "1e308",
    "-1e308",
    "nan",
    "inf",
    "-1",
    "99999999999",
    "1" * 5_000,
    "",
    "\u0663",
    "1e-320",
)

PRESENTATIONS: dict[str, Callable[[], bytes]] = {
    "bomb of paragraphs": lambda: presentation(slide("<a:p/>" * 46_000_000)),
    "5,000 slides": lambda: presentation(*[slide(_PARAGRAPH)] * 5_000),
    "one slide listed 100,000 times": lambda: presentation(slide(_PARAGRAPH), listed=100_000),
    "entities": lambda: presentation(
        slide("<a:p><a:t>&j;</a:t></a:p>", prolog=f"{LAUGHS}]>"),
    ),
    "broken xml": lambda: presentation("<p:sld><a:p>"),
    "tables nested 200 deep": lambda: presentation(
        slide("<a:tbl><a:tr><a:tc>" * 60 + _PARAGRAPH + "</a:tc></a:tr></a:tbl>" * 60)
    ),
    "table of 200,000 rows": lambda: presentation(
        slide("<a:tbl>" + "<a:tr><a:tc/></a:tr>" * 200_000 + "</a:tbl>")
    ),
    "notes that are the slide": lambda: presentation(
        slide(_PARAGRAPH),
        **{"ppt/slides/_rels/s0.xml.rels": rels(*[("notesSlide", "s0.xml")] * 20_000)},
    ),
    "no slides": presentation,
    "encrypted": documents.encrypted_docx,
    "truncated": lambda: office_files.presentation()[:5_000],
}

EMAILS: dict[str, Callable[[], bytes]] = {
    "MIME nested 100 deep": lambda: _deep_mime(100),
    "MIME nested 5,000 deep": lambda: _deep_mime(5_000),
    "e-mail in e-mail 200 deep": lambda: _mail_in_mail(200),
    "e-mail in e-mail 5,000 deep": lambda: _mail_in_mail(5_000),
    "20,000 attachments": lambda: _many_parts(20_000),
    "unknown charset": lambda: _mail(b"Words.", b"Content-Type: text/plain; charset=x-none"),
    "codec that is no charset": lambda: _mail(
        b"Words" * 9_999, b"Content-Type: text/plain; charset=punycode"
    ),
    "wrong base64": lambda: _mail(b"=@!" * 999, b"Content-Transfer-Encoding: base64"),
    "wrong uuencode": lambda: _mail(
        b"begin 644 x\nM!!!\nend", b"Content-Transfer-Encoding: x-uuencode"
    ),
    "unknown transfer encoding": lambda: _mail(b"Words.", b"Content-Transfer-Encoding: none"),
    "header of 5 MB": lambda: _mail(b"Words.", b"X-Long: " + b"a" * 5_000_000),
    "subject of encoded words": lambda: (
        b"From: a@b\nSubject: " + b"=?utf-8?q?a?= " * 200_000 + b"\n\nWords."
    ),
    "name with 500,000 parameters": lambda: _mail(
        b"Words.", b"Content-Disposition: attachment; " + b'filename*0*="a"; ' * 500_000
    ),
    "quotes without end": lambda: _mail(
        b"Words.", b'Content-Type: text/plain; name="' + b';"' * 500_000
    ),
    "no boundary": lambda: _mail(b"Words.", b"Content-Type: multipart/mixed"),
    "200,000 header lines": lambda: b"From: a@b\nSubject: x\n" + b"A: b\n" * 200_000,
    "HTML of unclosed comments": lambda: _mail(b"<!--" * 500_000, b"Content-Type: text/html"),
    "bomb as attachment": lambda: _mail_with("a.docx", documents.zip_bomb_docx()),
    "name that drives a terminal": lambda: _mail_with("\x1b[2J\u202e../../a.txt", b"Words."),
    "NUL bytes": lambda: _mail(b"\0" * 100_000),
}

ARCHIVES: dict[str, Callable[[], bytes]] = {
    "zip in zip 50 deep": lambda: _nested_zip(50),
    "16 to the power of 5 files": lambda: _nested_zip(5, copies=16),
    "bomb of one file": lambda: office_files.archive(("a.txt", _ZEROS)),
    "bomb of 9 files": lambda: office_files.archive(*[(f"{n}.csv", _ZEROS) for n in range(9)]),
    "same bytes listed 1,000 times": lambda: _overlapping(1_000),
    "same bytes listed 60,000 times": lambda: _overlapping(60_000),
    "20,000 empty files": lambda: office_files.archive(*[(f"{n}.txt", b"") for n in range(20_000)]),
    "encrypted": lambda: _patched(
        _patched(office_files.archive(("a.txt", b"x")), b"PK\x01\x02", 8, b"\1\0"),
        b"PK\x03\x04",
        6,
        b"\1\0",
    ),
    "unknown compression": lambda: _patched(
        office_files.archive(("a.txt", b"x")), b"PK\x01\x02", 10, b"\x63\0"
    ),
    "wrong checksum": lambda: _patched(
        office_files.archive(("a.txt", b"Budget.")), b"PK\x01\x02", 16, b"\0\0\0\0"
    ),
    "sizes of 4 GB": lambda: _patched(
        office_files.archive(("a.txt", b"Budget.")), b"PK\x01\x02", 24, b"\xfe\xff\xff\xff"
    ),
    "empty": office_files.archive,
    "truncated": lambda: office_files.archive_of_all()[:9_000],
    "only its first bytes": lambda: b"PK\x03\x04",
    "OpenDocument": lambda: office_files.archive(
        ("mimetype", b"application/vnd.oasis.opendocument.text"), ("META-INF/manifest.xml", b"")
    ),
    "Office bombs inside": lambda: office_files.archive(
        *[(f"{n}.docx", documents.zip_bomb_docx()) for n in range(5)]
    ),
    "names of 60,000 characters": lambda: office_files.archive(
        *[(f"{n}" + "a/" * 30_000 + ".txt", b"Budget is tight.") for n in range(50)]
    ),
}

HOSTILE: dict[str, tuple[str, Callable[[], bytes]]] = {
    f"{extension}: {title}": (f"a.{extension}", build)
    for extension, files in (
        ("xlsx", WORKBOOKS),
        ("pptx", PRESENTATIONS),
        ("eml", EMAILS),
        ("zip", ARCHIVES),
    )
    for title, build in files.items()
}
