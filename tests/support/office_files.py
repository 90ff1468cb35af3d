"""Builds workbooks, presentations, e-mails and archives with the libraries that real programs use."""

from __future__ import annotations

import io
import zipfile
from datetime import date
from email.message import EmailMessage
from functools import cache

import openpyxl
import pptx
from openpyxl.comments import Comment

from tests.support import documents

BUDGET = "Project has tight budget and aggressive deadline"
SUPPLIER = "The only supplier of the pumps may go bankrupt before delivery."


def workbook_of(text: str) -> bytes:
    """Return a workbook of one cell."""
    book = openpyxl.Workbook()
    book.active["A1"] = text
    return _saved(book)


def presentation_of(text: str) -> bytes:
    """Return a presentation of one slide with a title."""
    show = pptx.Presentation()
    show.slides.add_slide(show.slide_layouts[0]).shapes.title.text = text
    return _saved(show)


@cache
def workbook() -> bytes:
    """Return a risk register: a title, a header, two risks, a comment; and a second sheet."""
    book = openpyxl.Workbook()
    register = book.active
    register.title = "Register"
    register.append(["Risk register of the harbour"])
    register.append(["ID", "Description", "Owner", "Due", "Cost"])
    register.append(["R1", BUDGET, "Ann", date(2026, 5, 1), 1250.5])
    register.append(["R2", "The rooms are blue.", "Bob", date(2026, 6, 1), 7])
    register["B4"].comment = Comment(SUPPLIER, "Ann")
    book.create_sheet("Notes")["C5"] = BUDGET
    return _saved(book)


@cache
def presentation() -> bytes:
    """Return a title slide, a slide with bullets and notes, and a slide with a table."""
    show = pptx.Presentation()
    show.slides.add_slide(show.slide_layouts[0]).shapes.title.text = "The harbour"
    bullets = show.slides.add_slide(show.slide_layouts[1])
    bullets.shapes.title.text = "State"
    bullets.placeholders[1].text = f"The rooms are blue\n{BUDGET}"
    bullets.notes_slide.notes_text_frame.text = SUPPLIER
    last = show.slides.add_slide(show.slide_layouts[5])
    table = last.shapes.add_table(2, 2, 0, 0, 5_000_000, 500_000).table
    for row, texts in enumerate((("Topic", "Owner"), (BUDGET, "Bob"))):
        for column, text in enumerate(texts):
            table.cell(row, column).text = text
    return _saved(show)


@cache
def email(*, subject: str = "Verzögerung: the harbour") -> bytes:
    """Return an e-mail in plain text and HTML, with a workbook, a PDF of two pages and a picture."""
    message = EmailMessage()
    message["Subject"] = subject
    message["From"], message["To"] = "ann@corp.local", "bob@corp.local"
    message.set_content(f"{BUDGET}.\n")
    message.add_alternative(f"<p>{BUDGET}.</p>", subtype="html")
    attach(message, "risks.xlsx", workbook())
    attach(
        message, "report.pdf", documents.pdf_of_pages([["The rooms are blue."], [f"{SUPPLIER}"]])
    )
    attach(message, "logo.png", b"\x89PNG\r\n\x1a\n")
    return message.as_bytes()


def attach(message: EmailMessage, name: str, data: bytes) -> None:
    message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)


def zipped(files, **options):
    """Return a zip archive of (name or ZipInfo, content) pairs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return buffer.getvalue()


def with_bomb(data: bytes, method: int) -> bytes:
    """Return a zip with another file, which declares 100 bytes and inflates to 50 MB."""
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a", method) as archive:
        archive.writestr("bomb.xml", bytes(50_000_000))
    bomb = bytearray(buffer.getvalue())
    size = bomb.rindex(b"PK\x01\x02") + 24  # the last file of the directory
    bomb[size : size + 4] = (100).to_bytes(4, "little")
    return bytes(bomb)


def repacked(data: bytes, names: dict[str, str | None]) -> bytes:
    """Return a zip in which members have other names, or are left out if the name is None."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        members = [(names.get(n, n), packed.read(n)) for n in packed.namelist()]
    return zipped([(name, content) for name, content in members if name is not None])


def archive(*members: tuple[str, bytes]) -> bytes:
    """Return a zip of named members."""
    return zipped(members)


@cache
def archive_of_all() -> bytes:
    """Return a zip with a file in each format, one that is not supported, and one that is damaged."""
    return archive(
        ("notes/a.txt", f"{BUDGET}.".encode()),
        ("notes/a.csv", f"id,risk\n1,{BUDGET}\n".encode()),
        ("a.html", f"<p>{BUDGET}.</p>".encode()),
        ("a.docx", documents.docx_of([f"{BUDGET}."])),
        ("a.pdf", documents.pdf_of_pages([["The rooms are blue."], [f"{BUDGET}."]])),
        ("slides.pptx", presentation()),
        ("mails/a.eml", email()),
        ("picture.bin", b"\0\1\2"),
        ("damaged.docx", documents.docx_of(["lost"])[:900]),
    )


def _saved(book: openpyxl.Workbook | pptx.presentation.Presentation) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
