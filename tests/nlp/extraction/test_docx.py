"""Every place of a Word document that people read, and what was deleted from it."""

import io
import zipfile

import docx
import pytest

from tests.support.documents import PLANTED, blocks_of, docx_of_xml, saved
from tests.support.office_files import archive

RUN = f"<w:r><w:t>{PLANTED}</w:t></w:r>"
PARAGRAPH = f"<w:p>{RUN}</w:p>"
TEXT_BOX = f"<w:pict><w:txbxContent>{PARAGRAPH}</w:txbxContent></w:pict>"
A = "http://schemas.openxmlformats.org/drawingml/2006/main"
TITLE = f'<a:p xmlns:a="{A}"><a:r><a:t>{PLANTED}</a:t></a:r></a:p>'


def cell(content):
    return f"<w:tbl><w:tr><w:tc>{content}</w:tc></w:tr></w:tbl>"


@pytest.mark.parametrize(
    "body",
    [
        f"<w:p><w:r>{TEXT_BOX}</w:r></w:p>",
        f"<w:p><w:ins>{RUN}</w:ins></w:p>",
        f"<w:p><w:moveTo>{RUN}</w:moveTo></w:p>",
        f"<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>{PLANTED}</w:t></w:r></w:p>",
        cell(cell(PARAGRAPH) + "<w:p/>"),
        f"<w:p><w:hyperlink>{RUN}</w:hyperlink></w:p>",
        f"<w:p><w:fldSimple>{RUN}</w:fldSimple></w:p>",
        f"<w:sdt><w:sdtPr/><w:sdtContent>{PARAGRAPH}</w:sdtContent></w:sdt>",
        f"<w:p><w:sdt><w:sdtContent>{RUN}</w:sdtContent></w:sdt></w:p>",
        cell(f"<w:sdt><w:sdtContent>{PARAGRAPH}</w:sdtContent></w:sdt>"),
        f'<w:p><w:r><w:drawing><docPr descr="{PLANTED}"/></w:drawing></w:r></w:p>',
        f'<w:p><w:r><w:pict><textpath string="{PLANTED}"/></w:pict></w:r></w:p>',
        f"""<w:p>{RUN.replace("z", '</w:t><w:sym w:char="007A"/><w:t>')}</w:p>""",
    ],
)
def test_docx_text_of_the_body_is_a_block(body):
    assert PLANTED in blocks_of(docx_of_xml(body), "a.docx")


@pytest.mark.parametrize(
    ("part", "xml"),
    [
        ("footnotes", f"<w:footnote>{PARAGRAPH}</w:footnote>"),
        ("endnotes", f"<w:endnote>{PARAGRAPH}</w:endnote>"),
        ("comments", f"<w:comment>{PARAGRAPH}</w:comment>"),
        ("header", PARAGRAPH),
        ("footer", PARAGRAPH),
        ("diagramdata", f"<pt><t>{TITLE}</t></pt>"),
        ("chart", f"<title><tx><rich>{TITLE}</rich></tx></title>"),
        (
            "chart",
            f"<ser><tx><strRef><strCache><pt><v>{PLANTED}</v></pt></strCache></strRef></tx></ser>",
        ),
        ("chart", f"<cat><strRef><strCache><pt><v>{PLANTED}</v></pt></strCache></strRef></cat>"),
        ("chart", f"<ser><tx><v>{PLANTED}</v></tx></ser>"),
        ("chartex", f"<strDim><lvl><pt>{PLANTED}</pt></lvl></strDim>"),
        ("chartshapes", f"<sp><txBody>{TITLE}</txBody></sp>"),
    ],
)
def test_docx_text_of_another_part_is_a_block(part, xml):
    assert PLANTED in blocks_of(docx_of_xml("<w:p/>", **{part: xml}), "a.docx")


@pytest.mark.parametrize(
    "body",
    [
        f"<w:p><w:del>{RUN.replace('w:t>', 'w:delText>')}</w:del></w:p>",
        f"<w:p><w:moveFrom>{RUN}</w:moveFrom></w:p>",
        f"<w:p><w:r><w:instrText>{PLANTED}</w:instrText></w:r></w:p>",
    ],
)
def test_docx_deleted_text_and_field_codes_are_left_out(body):
    kept = "<w:p><w:r><w:t>kept</w:t></w:r></w:p>"
    assert blocks_of(docx_of_xml(body + kept), "a.docx") == ["kept"]


def test_docx_numbers_of_a_chart_are_left_out():
    chart = (
        "<val><numRef><numCache><pt><v>12.5</v></pt></numCache></numRef></val><tx><v>Cost</v></tx>"
    )
    assert blocks_of(docx_of_xml("<w:p/>", chart=chart), "a.docx") == ["Cost"]


def test_docx_comment_header_and_footer_as_a_word_processor_writes_them_are_read():
    document = docx.Document()
    paragraph = document.add_paragraph("Body words.")
    document.add_comment(paragraph.runs, text="Comment words.", author="A")
    document.sections[0].footer.paragraphs[0].text = "Footer words."
    found = blocks_of(saved(document), "a.docx")
    assert found == ["Body words.", "Footer words.", "Comment words."]


def test_docx_with_an_entry_of_a_part_that_was_removed_is_read():
    source = zipfile.ZipFile(io.BytesIO(docx_of_xml(PARAGRAPH, comments="")))
    kept = [name for name in source.namelist() if name != "word/comments.xml"]
    data = archive(*((name, source.read(name)) for name in kept))
    assert blocks_of(data, "a.docx") == [PLANTED]
