"""Builds real documents, valid and hostile; slow ones are built once per run."""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from itertools import cycle, islice
from pathlib import Path

import docx
from fpdf import FPDF
from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    DictionaryObject,
    EncodedStreamObject,
    NameObject,
    NumberObject,
    PdfObject,
    TextStringObject,
)

from service.nlp.extraction.extractor import Extractor

ROOT = Path(__file__).parents[2]
AUTHORED = sorted((ROOT / "ml" / "data").glob("authored-*.jsonl"))
PLANTED = "The zeppelin supplier went bankrupt before the third milestone."
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
EMPTY = b""


def limits(**changed: int) -> dict[str, int]:
    """Return the arguments of an Extractor: the service's defaults, with time for a busy machine."""
    defaults = {
        "max_file_bytes": 26_214_400,
        "max_text_chars": 2_500_000,
        "max_pages": 2000,
        "timeout_s": 60,
        "memory_bytes": 805_306_368,
    }
    return defaults | changed


def blocks_of(data: bytes | str, filename: str) -> list[str]:
    """Extract a file and return the text of its blocks."""
    data = data.encode() if isinstance(data, str) else data
    extracted = Extractor(**limits()).extract(data, filename=filename, media_type=None)
    return [extracted.text[b.start : b.end] for b in extracted.blocks]


@cache
def prose() -> tuple[str, ...]:
    """Return the authored sentences that the core PDF fonts can write."""
    lines = [line for path in AUTHORED for line in path.read_text("utf-8").splitlines()]
    texts = [json.loads(line)["text"] for line in lines]
    return tuple(t for t in texts if t.isascii() and 60 < len(t) < 200 and t.endswith("."))


def pdf_of_pages(pages: list[list[str]], *, footer: str = "") -> bytes:
    """Return a PDF of one list of paragraphs per page; `footer` may contain {page}.

    A page without paragraphs shows a rectangle, so that it is not blank.
    """
    pdf = FPDF()
    pdf.set_auto_page_break(auto=False)
    pdf.set_font("helvetica", size=11)
    for number, paragraphs in enumerate(pages, start=1):
        pdf.add_page()
        if not paragraphs:
            pdf.rect(20, 20, 100, 60)
        for paragraph in paragraphs:
            pdf.multi_cell(0, 5, paragraph, align="L", new_x="LMARGIN", new_y="NEXT")
            pdf.ln(4)
        if footer:
            pdf.set_y(-15)
            pdf.cell(0, 5, footer.format(page=number))
    return bytes(pdf.output())


def pdf_with_blank_page(text: str) -> bytes:
    """Return a PDF of a page with the text and a page that shows nothing."""
    pdf = FPDF()
    pdf.set_font("helvetica", size=11)
    pdf.add_page()
    pdf.multi_cell(0, 5, text)
    pdf.add_page()
    return bytes(pdf.output())


def pdf_with_content(data: bytes, *contents: tuple[bytes, str]) -> bytes:
    """Return a PDF with a page more for each content stream, declared as compressed by its filter."""
    writer = PdfWriter(clone_from=io.BytesIO(data))
    for content, compression in contents:
        stream = EncodedStreamObject()
        stream._data = content  # noqa: SLF001 - pypdf sets no encoded data
        if compression:
            stream[NameObject("/Filter")] = NameObject(compression)
        page = writer.add_blank_page(200, 200)
        page[NameObject("/Contents")] = writer._add_object(stream)  # noqa: SLF001
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


@cache
def long_pdf(n_pages: int = 200, planted_on: tuple[int, ...] = (3, 77, 200)) -> bytes:
    """Return prose with headings and footers; the pages `planted_on` contain PLANTED."""
    sentences = cycle(prose())
    pages = []
    for number in range(1, n_pages + 1):
        paragraphs = [" ".join(islice(sentences, 3)) for _ in range(6)]
        if number in planted_on:
            paragraphs[3] = f"{next(sentences)} {PLANTED} {next(sentences)}"
        pages.append([f"Chapter {number}", *paragraphs])
    return pdf_of_pages(pages, footer="Confidential - page {page} of the programme report")


@cache
def pdf_with_n_pages(n_pages: int) -> bytes:
    """Return blank pages, written by hand, since a library takes a minute for ten thousand."""
    kids = " ".join(f"{n} 0 R" for n in range(3, n_pages + 3))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {n_pages}/Kids[{kids}]/MediaBox[0 0 9 9]>>",
    ]
    objects += ["<</Type/Page/Parent 2 0 R>>"] * n_pages
    body, offsets = io.StringIO(), []
    body.write("%PDF-1.4\n")
    for number, content in enumerate(objects, start=1):
        offsets.append(body.tell())
        body.write(f"{number} 0 obj{content}endobj\n")
    start = body.tell()
    body.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n")
    body.write("".join(f"{offset:010} 00000 n \n" for offset in offsets))
    body.write(f"trailer<</Root 1 0 R/Size {len(objects) + 1}>>\nstartxref\n{start}\n%%EOF\n")
    return body.getvalue().encode("ascii")


def pdf_with_many_comments(n_comments: int) -> bytes:
    """Return one page that lists the same long comment `n_comments` times."""
    comment = "<</Type/Annot/Subtype/Text/Rect[0 0 9 9]/Contents(" + "late parts " * 1000 + ")>>"
    kids = "4 0 R " * n_comments
    objects = ["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Count 1/Kids[3 0 R]>>"]
    objects += [f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Annots[{kids}]>>", comment]
    numbered = (f"{n} 0 obj{content}endobj\n" for n, content in enumerate(objects, start=1))
    return ("%PDF-1.4\n" + "".join(numbered) + "trailer<</Root 1 0 R>>\n%%EOF\n").encode("ascii")


@cache
def image_only_pdf() -> bytes:
    """Return a scanned page: a picture without text."""
    from PIL import Image  # noqa: PLC0415

    pdf = FPDF()
    pdf.add_page()
    pdf.image(Image.new("RGB", (40, 40), "grey"), x=10, y=10, w=50)
    return bytes(pdf.output())


@cache
def encrypted_pdf() -> bytes:
    writer = PdfWriter(PdfReader(io.BytesIO(pdf_of_pages([["Secret budget."]]))))
    writer.encrypt("password", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _pdf_object(value: object) -> PdfObject:
    if isinstance(value, dict):
        return DictionaryObject({NameObject(f"/{k}"): _pdf_object(v) for k, v in value.items()})
    if isinstance(value, list):
        return ArrayObject(map(_pdf_object, value))
    if isinstance(value, int):
        return NumberObject(value)
    return NameObject(value) if str(value).startswith("/") else TextStringObject(value)


def pdf_annotated(pages: list[list[str]], *annotations: dict[str, object], **form: object) -> bytes:
    """Return pages with `annotations` on the first; those with /FT are form fields. "/x" is a PDF name."""
    writer = PdfWriter(PdfReader(io.BytesIO(pdf_of_pages(pages))))
    add = writer._add_object  # noqa: SLF001 - pypdf has no public way
    added = [add(_pdf_object(a)) for a in annotations]
    writer.pages[0][NameObject("/Annots")] = ArrayObject(added)
    fields = ArrayObject([a for a in added if "/FT" in a.get_object()])
    if fields or form:
        form_object = _pdf_object(form)
        form_object[NameObject("/Fields")] = fields
        writer.root_object[NameObject("/AcroForm")] = form_object
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def damaged_pdf() -> bytes:
    return b"%PDF-1.7\n" + bytes(range(256)) * 40


def docx_of(paragraphs: list[str]) -> bytes:
    document = docx.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    return saved(document)


def saved(document: docx.document.Document) -> bytes:
    """Return the bytes of a python-docx document."""
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def docx_of_xml(body: str, *, prolog: str = "", encoding: str = "utf-8", **parts: str) -> bytes:
    """Return a minimal Word document with this body; each part's name ends its content type."""
    main = f'{prolog}<w:document xmlns:w="{W}"><w:body>{body}</w:body></w:document>'
    types = "".join(
        f'<Override PartName="/word/{name}.xml" ContentType="application/vnd.x.{name}+xml"/>'
        for name in parts
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            f'<Override PartName="/word/document.xml" ContentType="{_MAIN}"/>{types}</Types>',
        )
        archive.writestr("word/document.xml", main.encode(encoding))
        for name, xml in parts.items():
            archive.writestr(f"word/{name}.xml", f'<x xmlns:w="{W}">{xml}</x>')
    return out.getvalue()


@cache
def zip_bomb_docx() -> bytes:
    """Return about 2 MB that inflate to 280 MB of empty paragraphs."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("word/document.xml", "w") as part:
            part.write(f'<w:document xmlns:w="{W}"><w:body>'.encode())
            for _ in range(280):
                part.write(b"<w:p/>" * 170_000)
        archive.writestr("[Content_Types].xml", "<Types/>")
    return out.getvalue()


def docx_that_lists_its_body(*, times: int, text: str) -> bytes:
    """Return a document whose [Content_Types].xml lists its body `times` times."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        override = f'<Override PartName="/word/document.xml" ContentType="{_MAIN}"/>'
        archive.writestr("[Content_Types].xml", f"<Types>{override * times}</Types>")
        body = f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"
        archive.writestr("word/document.xml", f'<w:document xmlns:w="{W}">{body}</w:document>')
    return out.getvalue()


def billion_laughs_docx() -> bytes:
    entities = '<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)
    )
    return docx_of_xml("<w:p><w:r><w:t>&a9;</w:t></w:r></w:p>", prolog=f"<!DOCTYPE w [{entities}]>")


def external_entity_docx(path: str) -> bytes:
    return docx_of_xml(
        "<w:p><w:r><w:t>&leak;</w:t></w:r></w:p>",
        prolog=f'<!DOCTYPE w [<!ENTITY leak SYSTEM "file://{path}">]>',
    )


def encrypted_docx() -> bytes:
    """Return the beginning of the OLE container in which Word wraps an encrypted document."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2048
