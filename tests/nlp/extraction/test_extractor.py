"""What a user's file becomes: text, blocks, pages."""

import codecs

import docx
import pytest

from service.errors import TooLarge, UnreadableDocument, UnsupportedMediaType
from service.nlp.extraction.extractor import Extractor, extract_text
from service.nlp.extraction.media_types import BY_EXTENSION
from tests.support import documents


@pytest.fixture(scope="module")
def extractor():
    return Extractor(**documents.limits())


@pytest.fixture
def read(extractor):
    def _read(data, filename=None, media_type=None):
        data = data.encode() if isinstance(data, str) else data
        return extractor.extract(data, filename=filename, media_type=media_type)

    return _read


def blocks(extracted):
    return [extracted.text[b.start : b.end] for b in extracted.blocks]


def text_blocks(text):
    return blocks(extract_text(text, max_chars=10_000_000))


def test_extract_text_paragraphs_are_blocks():
    assert text_blocks("One line.\nTwo.\n\nThree.") == ["One line.", "Two.", "Three."]


def test_extract_text_wrapped_paragraph_is_one_block():
    text = "The supplier of the pumps went out of business last\nweek, and nobody has found another one."
    assert text_blocks(text) == [text]


def test_extract_text_list_of_statements_is_a_block_each():
    assert text_blocks("Budget is tight\nDeadline is aggressive\nStaff leave") == [
        "Budget is tight",
        "Deadline is aggressive",
        "Staff leave",
    ]


def test_extract_text_markers_begin_blocks_without_themselves():
    text = "# Risks\n- tight budget\n1. late parts\n> quoted words\n* [ ] open task\n"
    text += "| cell | other |\n|---|---|"
    expected = ["Risks", "tight budget", "late parts", "quoted words", "open task", "cell", "other"]
    assert text_blocks(text) == expected


PROMISED = "The delivery that was promised by the main supplier for the end of the year"
WRAPPED = [
    [PROMISED, "(2026) is unlikely to be met because two of its three plants have been closed."],
    [
        "The probability of a delay of the second milestone of the project is now rated",
        "(high) by all.",
    ],
    [
        "The supplier that has made all the pumps for this and the other plants for four years",
        "- may go bankrupt.",
    ],
    [
        "The plan says that the supplier will deliver all the pumps to the plant by December",
        "12. After that we pay.",
    ],
    [
        "The penalty for each late delivery of the pumps is laid down in full in paragraph",
        "(b) of the contract.",
    ],
]


@pytest.mark.parametrize("lines", WRAPPED)
def test_extract_text_mark_within_a_wrapped_sentence_begins_no_block(lines):
    assert text_blocks("\n".join(lines)) == ["\n".join(lines)]


@pytest.mark.parametrize("lines", WRAPPED)
def test_pdf_mark_within_a_wrapped_sentence_begins_no_block(read, lines):
    assert blocks(read(documents.pdf_of_pages([["\n".join(lines)]]), "a.pdf")) == [" ".join(lines)]


LONG = "the supplier that has made all the pumps for this plant for many years may go bankrupt"


@pytest.mark.parametrize(
    ("above", "marks"),
    [
        ("Risks:", "-"),
        (f"{PROMISED} is at risk, for these reasons:", "-"),
        (f"{PROMISED} is at risk because", "-"),
        (f"{PROMISED} is at risk because", "\u2022"),
        (f"{PROMISED} is at risk because", "1. 2."),
        (f"{PROMISED} is at risk because", "(a) (b)"),
        (f"{PROMISED} is at risk because", "(i) (ii)"),
        (f"{PROMISED} is at risk because", "11. 12."),
    ],
)
def test_extract_text_list_without_full_stops_is_a_block_for_each_item(read, above, marks):
    first, second = (marks.split() * 2)[:2]
    text = f"{above}\n{first} {LONG}\n{second} late parts"
    assert text_blocks(text) == [above, LONG, "late parts"]
    pdf = documents.pdf_of_pages([[text.replace("\u2022", "-")]])
    assert [block.removeprefix("- ") for block in blocks(read(pdf, "a.pdf"))] == [
        above,
        LONG,
        "late parts",
    ]


@pytest.mark.parametrize(
    "item", ["- Late parts", "1. late parts", "(a) late parts", "* late parts"]
)
def test_extract_text_single_item_below_a_long_line_is_a_block(item):
    assert text_blocks(f"{PROMISED}\n{item}")[0] == PROMISED


@pytest.mark.parametrize("marks", ["(aa) (bb)", "(1a) (1b)", "(a1) (a2)"])
def test_wrapped_items_with_double_numbers_are_a_block_each(read, marks):
    first, second = marks.split()
    items = [f"{first} {PROMISED} and", f"{second} {LONG}"]
    assert text_blocks("\n".join(items)) == [f"{PROMISED} and", LONG]
    assert len(blocks(read(documents.pdf_of_pages([["\n".join(items)]]), "a.pdf"))) == 2


def test_first_item_of_a_list_with_blank_lines_is_a_block(read):
    text = f"{PROMISED}\n- insurance certificate\n\n- safety plan"
    assert text_blocks(text) == [PROMISED, "insurance certificate", "safety plan"]
    pdf = blocks(read(documents.pdf_of_pages([[text]]), "a.pdf"))
    assert [block.removeprefix("- ") for block in pdf] == text_blocks(text)


def test_md_dash_at_the_start_of_a_line_always_begins_an_item(read):
    assert blocks(read(f"{PROMISED}\n- safety plan", "a.md")) == [PROMISED, "safety plan"]


def test_wrapped_dash_above_another_paragraph_begins_no_block():
    text = f"{PROMISED}\n- may be late.\n\n2. The next clause."
    assert text_blocks(text) == [f"{PROMISED}\n- may be late.", "The next clause."]


def test_item_below_the_heading_of_a_section_is_a_block():
    heading = "2.1 Scope of the liability of the contractor under this contract"
    assert text_blocks(f"{heading}\n- loss of data") == [heading, "loss of data"]


def test_md_fenced_code_keeps_every_line_and_its_language(read):
    code = f"```python\n{LONG}\nbeta = 2\n```\nafter"
    assert blocks(read(code, "a.md")) == ["python", LONG, "beta = 2", "after"]


def test_md_fence_within_a_fence_is_read(read):
    assert blocks(read("```\n```budget\nlate\n", "a.md")) == ["```budget", "late"]


@pytest.mark.parametrize("mark", ["```", "~~~"])
def test_line_that_only_begins_like_a_fence_is_read(read, mark):
    line = f"{mark} tight budget and aggressive deadline {mark}"
    for name in ("a.md", "a.txt"):
        found = blocks(read(f"{line}\n\n{mark}deadline{mark}", name))
        assert found == [line, f"{mark}deadline{mark}"]


@pytest.mark.parametrize("mark", ["```", "~~~ "])
def test_txt_has_no_fenced_code(read, mark):
    wrapped = f"{PROMISED}\nmay be late."
    text = f"{mark}risk\n\n{wrapped}\n{mark}\n{wrapped}"
    assert blocks(read(text, "a.txt")) == [f"{mark}risk", wrapped, wrapped]
    assert text_blocks(text) == [f"{mark}risk", wrapped, wrapped]


@pytest.mark.parametrize("odd", ["a\0b \ud800 c", "\u202eright \u200fto left", "x" * 1_000_000])
def test_extract_text_odd_characters_keep_every_offset(odd):
    extracted = extract_text(odd, max_chars=1_000_000)
    assert len(extracted.text) == len(odd)
    assert not set("\0\ud800") & set(extracted.text)


def test_extract_text_at_the_limit_is_read_and_beyond_is_too_large():
    assert extract_text("ab", max_chars=2).text == "ab"
    with pytest.raises(TooLarge, match="MAX_TEXT_CHARS"):
        extract_text("abc", max_chars=2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_txt_in_any_common_encoding_is_decoded(read, encoding):
    assert read("Café “risk”.".encode(encoding), "a.txt").text == "Café “risk”."


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-be", "utf-32"])
def test_txt_sentence_in_an_old_or_wide_encoding_is_a_block(read, encoding):
    text = f"Déjà vu à Zürich.\r\n\r\n{documents.PLANTED}\r\n"
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    data = mark + text.encode(encoding)
    assert blocks(read(data, "a.txt")) == ["Déjà vu à Zürich.", documents.PLANTED]


def test_csv_sentence_in_a_cell_with_quotes_and_newlines_is_a_block(read):
    cell = f'The ""pump"", as agreed; is late.\n\n{documents.PLANTED}\n- and more'
    found = blocks(read(f'id,note\r\n1,"{cell}"\r\n2,"a, b"\r\n', "a.csv"))
    expected = ['The "pump", as agreed; is late.', documents.PLANTED, "and more"]
    assert found == ["id", "note", "1", *expected, "2", "a, b"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_cells_are_blocks(read, delimiter):
    data = f'id{delimiter}note\n1{delimiter}"tight budget"\n2{delimiter}late\n'
    extracted = read(data, "a.csv", "application/vnd.ms-excel")
    assert blocks(extracted) == ["id", "note", "1", "tight budget", "2", "late"]
    assert extracted.text == "id\tnote\n1\ttight budget\n2\tlate\n"


def test_html_elements_are_blocks_and_scripts_are_none(read):
    page = (
        "<head><title>t</title><style>p{}</style></head><h1>Head</h1><p>a  <b>bold</b><br>b &amp; c"
        "<script>var x</script><ul><li>q<li>r</ul><table><tr><td>u<td>v</table><pre>K = 1\nM = 2</pre>"
    )
    expected = ["t", "Head", "a bold\nb & c", "q", "r", "u", "v", "K = 1", "M = 2"]
    assert blocks(read(page, "a.html")) == expected


def test_html_meta_charset_is_followed(read):
    page = '<meta charset="iso-8859-2"><p>Škoda'.encode("iso-8859-2")
    assert blocks(read(page, "a.htm")) == ["Škoda"]


MISDECLARED = ["utf-16le", "utf-32", "us-ascii", "iso-8859-1", "gb2312", "shift_jis", "unknown"]
MISDECLARED += ["iso-8859-15", "windows-1250", "windows-1254", "koi8-r"]


@pytest.mark.parametrize("charset", MISDECLARED)
def test_text_in_utf8_is_read_whatever_charset_is_declared(read, charset):
    text = "L\u00e4te \u201cparts\u201d \u2013 50 \u20ac."
    assert blocks(read(f'<meta charset="{charset}"><p>{text}', "a.htm")) == [text]
    assert blocks(read(text, "a.txt", f"text/plain; charset={charset}")) == [text]


def test_text_in_utf8_with_a_letter_of_another_script_in_a_word_is_read(read):
    text = "\u0424\u0430\u0439\u043b\u044b PDF\u044b."
    assert blocks(read(text, "a.txt", "text/plain; charset=koi8-r")) == [text]


@pytest.mark.parametrize("charset", ["iso-8859-2", "windows-1250"])
def test_text_whose_bytes_happen_to_be_utf8_is_read_in_its_charset(read, charset):
    text = "SP\u00d3\u0141KA AKCYJNA"
    assert blocks(read(text.encode(charset), "a.txt", f"text/plain; charset={charset}")) == [text]


@pytest.mark.parametrize("charset", ["us-ascii", "iso-8859-1", "windows-1252"])
def test_text_in_windows_1252_is_read_whatever_charset_is_declared(read, charset):
    text = "L\u00e4te \u201cparts\u201d."
    assert blocks(read(text.encode("cp1252"), "a.txt", f"text/plain; charset={charset}")) == [text]


def test_docx_body_tables_notes_and_headers_are_all_read(read):
    document = docx.Document()
    document.add_heading("Head")
    document.add_paragraph("tight budget", style="List Bullet")
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
    document.sections[0].header.paragraphs[0].text = "running"
    extracted = read(documents.saved(document), "a.docx")
    assert blocks(extracted) == ["Head", "tight budget", "left", "right", "running"]
    assert extracted.layout.n_pages is None


def test_docx_tracked_changes_keep_insertions_only(read):
    body = (
        "<w:p><w:r><w:t>kept </w:t></w:r><w:ins><w:r><w:t>new</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>old</w:delText></w:r></w:del></w:p>"
    )
    assert blocks(read(documents.docx_of_xml(body), "a.docx")) == ["kept new"]


def test_docx_text_box_is_read_once(read):
    box = "<w:txbxContent><w:p><w:r><w:t>boxed</w:t></w:r></w:p></w:txbxContent>"
    mc = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    body = (
        f"<w:p><w:r><w:t>own</w:t><mc:AlternateContent {mc}><mc:Choice>{box}</mc:Choice>"
        f"<mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r></w:p>"
    )
    assert blocks(read(documents.docx_of_xml(body), "a.docx")) == ["own", "boxed"]


def test_pdf_paragraph_over_lines_is_one_block(read):
    paragraph = " ".join(documents.prose()[:3])
    data = documents.pdf_of_pages([["Heading One", paragraph, "- a bullet"]])
    assert blocks(read(data, "a.pdf")) == ["Heading One", paragraph, "a bullet"]


def test_pdf_hyphen_at_line_end_is_joined(read):
    data = documents.pdf_of_pages([["The dates of the plan are ag-\ngressive this year."]])
    assert blocks(read(data, "a.pdf")) == ["The dates of the plan are aggressive this year."]


def test_pdf_sentence_over_page_break_is_one_block_and_footers_stay_apart(read):
    head = "This sentence begins on one page and it says that the budget"
    pages = [["First.", head], ["is tight. Then more.", "Second."], ["Third words."]]
    extracted = read(documents.pdf_of_pages(pages, footer="Report, page {page}"), "a.pdf")
    assert f"{head} is tight." in blocks(extracted)
    assert [f"Report, page {n}" in blocks(extracted) for n in (1, 2, 3)] == [True] * 3
    assert extracted.layout.page_at(extracted.text.index("is tight")) == 2
    assert extracted.layout.page_at(extracted.text.index("page 1")) == 1


def test_pdf_of_many_pages_gives_the_right_page_of_each_sentence(read):
    extracted = read(documents.long_pdf(12, (3, 7, 12)), "a.pdf")
    found, at = [], extracted.text.find(documents.PLANTED)
    while at >= 0:
        found.append(extracted.layout.page_at(at))
        at = extracted.text.find(documents.PLANTED, at + 1)
    assert (found, extracted.layout.n_pages) == ([3, 7, 12], 12)


def test_pdf_page_without_text_is_listed(read):
    extracted = read(documents.pdf_of_pages([["Words here."], [], ["More words."]]), "a.pdf")
    assert extracted.layout.pages_without_text == (2,)


@pytest.mark.parametrize(
    ("filename", "media_type"),
    [
        ("a.pdf", "application/octet-stream"),
        ("A.PDF", "text/plain"),
        ("upload.bin", "application/pdf"),
        (None, None),
        ("upload", "application/octet-stream"),
    ],
)
def test_type_is_found_by_extension_then_media_type_then_bytes(read, filename, media_type):
    data = documents.pdf_of_pages([["Words here."]])
    assert blocks(read(data, filename, media_type)) == ["Words here."]


@pytest.mark.parametrize(
    ("filename", "media_type"),
    [("a.xyz", None), ("a.png", "image/png"), ("a.exe", "application/octet-stream")],
)
def test_type_that_is_not_read_names_those_that_are(read, filename, media_type):
    with pytest.raises(UnsupportedMediaType) as caught:
        read("words", filename, media_type)
    assert all(f".{extension}" in caught.value.message for extension in BY_EXTENSION)


@pytest.mark.parametrize(
    ("data", "filename", "sentence"),
    [
        (b"", "a.txt", "The file is empty"),
        (b" \n", "a.md", "The file is empty"),
        (b"words", "a.pdf", "named as a PDF but is not one"),
        (b"words", "a.docx", "named as a Word document but is not one"),
        (b"%PDF-1.7", "a.txt", "damaged"),
        (b"a\0b", "a.txt", "holds other data"),
        (documents.encrypted_docx(), "a.docx", "Remove the password"),
        (b"PK\x03\x04rest", "a.docx", "damaged"),
    ],
)
def test_file_that_is_not_what_it_is_named_is_unreadable(read, data, filename, sentence):
    with pytest.raises(UnreadableDocument, match=sentence):
        read(data, filename)


@pytest.mark.parametrize("between", ["<!-- a comment -->", "<?a processing instruction?>"])
def test_docx_text_after_an_xml_comment_is_read(read, between):
    body = f"<w:p><w:r><w:t>Project has {between}tight budget.</w:t></w:r></w:p>"
    assert blocks(read(documents.docx_of_xml(body), "a.docx")) == ["Project has tight budget."]


@pytest.mark.parametrize(
    "charset", ["utf-16-le", "utf-16-be", "iso-8859-1", "windows-1251", "koi8-r"]
)
def test_text_file_in_its_declared_charset_is_read(read, charset):
    text = (
        "R\u00e9sum\u00e9 of risks." if charset != "windows-1251" else "\u0420\u0438\u0441\u043a."
    )
    text = "\u0420\u0438\u0441\u043a." if charset == "koi8-r" else text
    kind = f"text/plain; charset={charset}"
    assert blocks(read(text.encode(charset), "a.txt", kind)) == [text]
