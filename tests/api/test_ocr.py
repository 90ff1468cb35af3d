"""Pages of a PDF that are pictures, read by an installed tesseract."""

import io
import shutil

import pytest
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

from service.errors import ConfigError
from tests.support.office_files import BUDGET, archive

needs_tesseract = pytest.mark.skipif(
    shutil.which("tesseract") is None, reason="tesseract is not installed"
)


def picture_of(text):
    """Return a scanned page of A4 at 150 dots per inch."""
    page = Image.new("L", (1_240, 1_754), 255)
    font = ImageFont.load_default(size=32)
    ImageDraw.Draw(page).text((100, 200), text, font=font, fill=0)
    return page


def pdf_with_a_scanned_page():
    """Return a page of text, a scanned page that states two risks, and an empty page."""
    pdf = FPDF()
    pdf.set_font("helvetica", size=11)
    pdf.add_page()
    pdf.multi_cell(0, 5, "The rooms are blue.")
    pdf.add_page()
    pdf.image(picture_of(f"{BUDGET}."), x=0, y=0, w=210)
    pdf.add_page()
    return bytes(pdf.output())


def pdf_of_pictures_only():
    out = io.BytesIO()
    picture_of(f"{BUDGET}.").save(out, "PDF", resolution=150)
    return out.getvalue()


@pytest.fixture(scope="module")
def live(start_service):
    return start_service(OCR="on", OCR_PAGE_TIMEOUT_S="300", AI_TIMEOUT_S="900")


def scanned(user, name, data):
    answer = user.http.post("/api/scan", files={"file": (name, data)}, timeout=900)
    assert answer.status_code == 201, answer.text
    scan = user.http.get(f"/api/v1/scans/{answer.json()['scan_id']}").json()
    findings = user.http.get(f"/api/v1/scans/{scan['scan_id']}/findings").json()["items"]
    places = {(f["context"], f["part"], f["page"], f["ocr"]) for f in findings}
    return scan["coverage"], places


@needs_tesseract
def test_scan_with_ocr_finds_the_risks_of_a_scanned_page_and_says_so(user):
    coverage, places = scanned(user, "a.pdf", pdf_with_a_scanned_page())
    assert places == {(f"{BUDGET}.", None, 2, True)}
    assert (coverage["pages_by_ocr"], coverage["pages_without_text"]) == ([2], [3])


@needs_tesseract
def test_scan_with_ocr_reads_a_pdf_of_pictures_within_an_archive(user):
    data = archive(("notes.txt", f"{BUDGET}.".encode()), ("scan.pdf", pdf_of_pictures_only()))
    coverage, places = scanned(user, "a.zip", data)
    assert places == {
        (f"{BUDGET}.", "notes.txt", None, False),
        (f"{BUDGET}.", "scan.pdf", 1, True),
    }
    assert [part["pages_by_ocr"] for part in coverage["parts"]] == [[], [1]]


@needs_tesseract
def test_start_with_a_language_that_is_not_installed_names_it(start_service):
    with pytest.raises(ConfigError, match="OCR_LANGUAGES names xyz"):
        start_service(OCR="on", OCR_LANGUAGES="eng+xyz")


def test_start_with_ocr_but_without_tesseract_names_the_remedy(start_service, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ConfigError, match="apt-get install tesseract-ocr"):
        start_service(OCR="on")
