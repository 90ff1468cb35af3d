"""What docs/formats.md says of each format, tried with files that the libraries of real programs write."""

import io
import zipfile
from datetime import date
from email.message import EmailMessage

import docx
import pptx
import pytest
import xlsxwriter
from fpdf import FPDF
from PIL import Image
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE

from service.errors import UnreadableDocument
from tests.support.documents import blocks_of, saved

DAY = date(2026, 5, 1)


def picture():
    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    out.seek(0)
    return out


def workbook():
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True})
    sheet, hidden = book.add_worksheet("One"), book.add_worksheet("Two")
    sheet.write("A1", "in a cell")
    sheet.write_formula("A2", '="in a "&"formula"', value="in a result")
    sheet.write_formula("A3", "=1/0", value="#DIV/0!")
    sheet.write_datetime("A4", DAY, book.add_format({"num_format": "dd.mm.yy"}))
    sheet.write_number("A5", 0.25, book.add_format({"num_format": "0%"}))
    sheet.write_comment("A1", "in a comment", {"author": "Ann"})
    sheet.insert_textbox("C1", "in a text box")
    sheet.insert_image("C9", "", {"image_data": picture(), "description": "of a picture"})
    sheet.set_header("&Lin a header")
    chart = book.add_chart({"type": "column"})
    chart.add_series({"values": "=One!$A$5:$A$5"})
    chart.set_title({"name": "of a chart"})
    sheet.insert_chart("E1", chart)
    hidden.write("A1", "in a hidden sheet")
    hidden.hide()
    book.close()
    return out.getvalue()


def presentation():
    show = pptx.Presentation()
    layout = show.slide_layouts[5]
    show.slide_master.shapes[0].text_frame.text = "in a master"
    layout.placeholders[0].text_frame.text = "in a layout"
    slide, hidden = show.slides.add_slide(layout), show.slides.add_slide(layout)
    slide.shapes.title.text = "in a title"
    slide.shapes.add_group_shape().shapes.add_textbox(0, 0, 9, 9).text_frame.text = "in a group"
    slide.shapes.add_table(1, 1, 0, 0, 9, 9).table.cell(0, 0).text = "in a table"
    shown = slide.shapes.add_picture(picture(), 0, 0)
    shown._element.nvPicPr.cNvPr.set("descr", "of a picture")  # noqa: SLF001 - the library has no public way
    data = CategoryChartData()
    data.add_category("Ore")
    data.add_series("Price", (12345.0,))
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 9, 9, data).chart
    chart.chart_title.text_frame.text = "of a chart"
    slide.notes_slide.notes_text_frame.text = "in the notes"
    hidden.shapes.title.text = "on a hidden slide"
    hidden._element.set("show", "0")  # noqa: SLF001 - the library has no public way
    return saved(show)


def document():
    written = docx.Document()
    paragraph = written.add_paragraph("in a paragraph")
    written.add_comment(paragraph.runs, text="in a comment", author="Ann")
    written.add_table(1, 1).cell(0, 0).text = "in a table"
    written.sections[0].header.paragraphs[0].text = "in a header"
    written.sections[0].footer.paragraphs[0].text = "in a footer"
    written.add_picture(picture())
    written.inline_shapes[0]._inline.docPr.set("descr", "of a picture")  # noqa: SLF001 - the library has no public way
    written.core_properties.title = "in a property"
    return saved(written)


def pdf():
    pages = FPDF()
    pages.add_page()
    pages.set_font("helvetica", size=12)
    pages.cell(text="on a page")
    pages.text_annotation(20, 20, "in a comment")
    pages.start_section("in a bookmark")
    pages.set_title("in a property")
    pages.embed_file(basename="a.txt", bytes=b"in an embedded file")
    pages.image(picture(), x=50, y=50, alt_text="of a picture")
    return bytes(pages.output())


def email():
    message = EmailMessage()
    message["Subject"], message["From"] = "in the subject", "Ann <ann@corp.local>"
    message["Date"] = "Fri, 01 May 2026 10:00:00 +0000"
    message.set_content("in the body")
    message.add_attachment("in a note", filename="note.txt")
    message.add_attachment(picture().read(), "image", "png", filename="logo.png")
    return message.as_bytes()


def archive():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("a/note.txt", "in a note")
        packed.writestr("mails/a.eml", email())
        for name in ("__MACOSX/._note.txt", ".DS_Store", "a/Thumbs.db"):
            packed.writestr(name, "of a system")
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        packed.writestr(link, "a/note.txt")
    return out.getvalue()


PAGE = """<title>of a page</title><meta name=description content="in a meta tag"><style>style</style>
<!-- in a comment --><script>script</script><template>in a template</template><p>in a paragraph
<img alt="of a picture" title="in a tip"><input placeholder="in a field" value="as a value">
<p hidden>in a hidden paragraph<iframe srcdoc="in a frame"></iframe>"""
OFFICE = {"in a comment", "of a picture", "of a chart"}
SAMPLES = {
    "a.txt": (lambda: "in a line", {"in a line"}),
    "a.md": (lambda: "# in a heading\n\nin a line", {"in a heading", "in a line"}),
    "a.csv": (lambda: "Risk;Owner\nin a cell;Ann\n", {"Risk", "Owner", "in a cell", "Ann"}),
    "a.html": (
        lambda: PAGE,
        {"of a page", "in a paragraph", "of a picture", "in a tip", "in a field", "as a value"}
        | {"in a hidden paragraph"},
    ),
    "a.pdf": (pdf, {"on a page", "in a comment"}),
    "a.docx": (
        document,
        {"in a paragraph", "in a table", "in a header", "in a footer", *OFFICE} - {"of a chart"},
    ),
    "a.xlsx": (
        workbook,
        {"in a cell", "in a result", "2026-05-01", "0.25", "in a text box", "in a hidden sheet"}
        | OFFICE,
    ),
    "a.pptx": (
        presentation,
        {"in a title", "in a group", "in a table", "in the notes", "on a hidden slide"}
        | {"Ore", "Price", *OFFICE} - {"in a comment"},
    ),
    "a.eml": (email, {"in the subject", "in the body", "in a note"}),
    "a.zip": (archive, {"in a note", "in the subject", "in the body"}),
}


@pytest.mark.parametrize("filename", SAMPLES)
def test_format_is_read_as_documented(filename):
    build, texts = SAMPLES[filename]
    assert set(blocks_of(build(), filename)) == texts


@pytest.mark.parametrize("kind", ["text", "spreadsheet", "presentation"])
def test_open_document_says_what_to_save_it_as(kind):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        packed.writestr("META-INF/manifest.xml", "<x/>")
        packed.writestr("content.xml", "<x>in a file</x>")
    with pytest.raises(UnreadableDocument, match=r"Save it as \.docx, \.xlsx, \.pptx or \.pdf"):
        blocks_of(out.getvalue(), "a.odt")
