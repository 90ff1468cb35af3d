"""The layout of PDF reports: lines that fit, pages that are complete, and characters of several fonts."""

import io
import random
import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import pytest
from fpdf import FPDF
from pypdf import PdfReader

from db.tables import Finding, Scan
from service.domain.reports.content import Content, FindingRow, ReportedScan, Summary
from service.domain.reports.fonts import installed_fonts
from service.domain.reports.pdf_lines import Lines
from service.domain.reports.pdf_report import pdf_chunks

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ROOM_MM = 60.0


@pytest.fixture(scope="module")
def lines():
    pages = FPDF()
    yield Lines(pages, installed_fonts([]), family="report")
    for font in pages.fonts.values():
        font.close()


def texts(n):
    """Return random texts of short and long words, hyphens and characters that no font has."""
    rng = random.Random(4)
    words = ("risk", "well-known", "x" * 200, "a-" * 90, "Ωμέγα", "預算", "-", "--", "W" * 30)
    return [" ".join(rng.choices(words, k=rng.randint(1, 12))) for _ in range(n)]


def test_lines_fit_and_contain_the_whole_text(lines):
    for text in map(lines.drawable, texts(300)):
        broken = [*lines.broken(text, 10, ROOM_MM)]
        assert max(lines.width_mm(line, 10) for line in broken) <= ROOM_MM
        assert "".join(broken).replace(" ", "") == text.replace(" ", "")


def test_next_word_would_not_have_fitted_on_the_line_before(lines):
    text = lines.drawable("The budget is already overspent by forty percent this year. " * 5)
    broken = [*lines.broken(text, 10, ROOM_MM)]
    for line, following in pairwise(broken):
        assert lines.width_mm(f"{line} {following.split()[0]}", 10) > ROOM_MM


def test_long_word_is_divided_behind_a_hyphen(lines):
    first, second = lines.broken(lines.drawable("interdepartmental-" * 2), 10, 40)
    assert (first, second) == ("interdepartmental-", "interdepartmental-")


def pdf_of(contexts, fonts=(), risk="Tight budget"):
    """Return the pages of a report of one scan with these findings."""
    rows = [
        FindingRow(Finding(n=n, context=text, score=0.5), risk, "Budget", None, ())
        for n, text in enumerate(contexts, start=1)
    ]
    scan = Scan(
        created_at=NOW, coverage={}, n_findings=len(rows), model_name="m", model_version="1"
    )
    summary = Summary(NOW, 1, len(rows), [("Budget", len(rows))])
    content = Content(summary, iter([ReportedScan(scan, iter([rows]))]), None)
    chunks = [chunk for _, chunk in pdf_chunks(content, installed_fonts(fonts))]
    return PdfReader(io.BytesIO(b"".join(chunks)), strict=True).pages


def test_every_page_has_its_number_and_no_finding_is_lost():
    pages = [page.extract_text() for page in pdf_of([f"Sentence number {n}." for n in range(500)])]
    assert len(pages) > 20
    for number, text in enumerate(pages, start=1):
        assert f"Riskscan · {number}" in text
    words = " ".join(pages)
    assert all(f"Sentence number {n}." in words for n in range(500))


@pytest.mark.parametrize("risk", ["Tight budget", "A long risk of another service " * 6])
def test_sentence_begins_on_the_page_of_its_heading(risk):
    pages = [
        page.extract_text() for page in pdf_of([f"Sentence {n}." for n in range(200)], risk=risk)
    ]
    headings = [{*re.findall(rf"^(\d+)\. {risk[:9]}", page, re.MULTILINE)} for page in pages]
    sentences = [{str(int(n) + 1) for n in re.findall(r"Sentence (\d+)\.", page)} for page in pages]
    assert len(pages) > 5
    assert headings == sentences


def test_characters_come_from_the_first_font_that_has_them_or_are_counted():
    text = "Budget ⌘ 預算"  # Noto Sans has none of the signs
    [page] = pdf_of([text])
    assert "3 characters are drawn as" in page.extract_text()
    [page] = pdf_of([text], [Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"])
    assert "Budget ⌘" in page.extract_text()
    assert "2 characters are drawn as" in page.extract_text()
