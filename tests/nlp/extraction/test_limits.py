"""Hostile and oversized files: an answer that names the remedy, within time and memory, no traces."""

import errno
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from service.errors import Overloaded, RateLimited, TooLarge, UnreadableDocument
from service.nlp.extraction.extractor import Extractor, extract_text, n_slots
from service.nlp.extraction.fair_slots import FairSlots
from service.nlp.extraction.text_builder import MAX_BLOCKS
from tests.support import documents


def extractor(**changed):
    return Extractor(**documents.limits(**changed))


def children():
    return psutil.Process().children(recursive=True)


HOSTILE = [
    (documents.zip_bomb_docx, "a.docx", TooLarge, "inflates"),
    (documents.billion_laughs_docx, "a.docx", UnreadableDocument, "declares XML entities"),
    (documents.damaged_pdf, "a.pdf", UnreadableDocument, "damaged"),
    (documents.encrypted_pdf, "a.pdf", UnreadableDocument, "Remove the password"),
    (documents.image_only_pdf, "a.pdf", UnreadableDocument, "OCR"),
    (lambda: documents.pdf_with_n_pages(10_000), "a.pdf", TooLarge, "MAX_PAGES"),
]


@pytest.mark.parametrize(("build", "filename", "error", "sentence"), HOSTILE)
def test_extract_hostile_file_is_refused_and_leaves_no_process(build, filename, error, sentence):
    data = build()
    before = set(children())
    with pytest.raises(error, match=sentence):
        extractor().extract(data, filename=filename, media_type=None)
    assert set(children()) <= before


@pytest.mark.parametrize(
    "text",
    [
        " " * 400_000 + "a",
        "> " * 200_000,
        "a\n" * 200_000,
        "- " * 200_000,
        "|" * 400_000,
        "``` " + " " * 200_000 + "x y",
    ],
)
@pytest.mark.timeout(120)  # seconds; a guard against quadratic time, which takes minutes
def test_extract_text_built_to_be_slow_is_read_whole(text):
    assert extract_text(text, max_chars=2_500_000).text == text


def test_extract_docx_part_listed_many_times_is_read_once():
    data = documents.docx_that_lists_its_body(times=300, text="Once.")
    assert extractor().extract(data, filename="a.docx", media_type=None).text == "Once.\n"


def test_extract_html_nested_100000_deep_is_read_whole():
    page = b"<div>" * 100_000 + b"deep words"
    assert extractor().extract(page, filename="a.html", media_type=None).text == "deep words\n"


SLOW_UNITS = [
    "<!--",
    "<!--x>",
    "<a ",
    "<a b='",
    "</",
    "<?",
    "<![CDATA[",
    "<a x",
    "<template></style>",
]


@pytest.mark.parametrize("unit", SLOW_UNITS)
def test_extract_html_of_unclosed_markup_is_read_in_linear_time(unit):
    """With html.parser, the quadratic time of these exceeds the time-out."""
    hidden = "</template>" * unit.count("<template>") * 60_000
    page = f"<p>{documents.PLANTED}</p>{unit * 60_000}{hidden}"
    assert extractor().extract(page.encode(), filename="a.html", media_type=None).blocks


def test_extract_external_entity_does_not_leak_a_file(tmp_path):
    (tmp_path / "secret").write_text("hunter2")
    data = documents.external_entity_docx(str(tmp_path / "secret"))
    with pytest.raises(UnreadableDocument) as caught:
        extractor().extract(data, filename="a.docx", media_type=None)
    assert "hunter2" not in caught.value.message


def test_extract_file_over_the_byte_limit_names_the_setting():
    with pytest.raises(TooLarge, match="MAX_FILE_BYTES"):
        extractor(max_file_bytes=3).extract(b"four", filename="a.txt", media_type=None)


@pytest.mark.parametrize("filename", ["a.txt", "a.csv", "a.html", "a.pdf", "a.docx"])
def test_extract_text_over_the_character_limit_names_the_setting(filename):
    data = b"These are many words."
    if filename == "a.pdf":
        data = documents.pdf_of_pages([[data.decode()]])
    if filename == "a.docx":
        data = documents.docx_of([data.decode()])
    with pytest.raises(TooLarge, match="MAX_TEXT_CHARS"):
        extractor(max_text_chars=20).extract(data, filename=filename, media_type=None)
    assert extractor(max_text_chars=21).extract(data, filename=filename, media_type=None).blocks


def test_extract_short_of_memory_names_the_setting():
    page = b"<p>" + b"word " * 5_000_000
    with pytest.raises(TooLarge, match="EXTRACT_MEMORY_BYTES"):
        extractor(memory_bytes=67_108_864).extract(page, filename="a.html", media_type=None)


def test_extract_on_eight_threads_gives_each_its_own_text():
    one = extractor()
    pages = [f"<p>document {n}".encode() for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        read = pool.map(lambda d: one.extract(d, filename="a.html", media_type=None).text, pages)
        assert list(read) == [f"document {n}\n" for n in range(8)]


@pytest.mark.parametrize(("caller", "error"), [("a", RateLimited), ("b", Overloaded)])
def test_extract_without_a_free_slot_says_whose_files_take_it(caller, error):
    slots = FairSlots(1)
    one = extractor(timeout_s=1, slots=slots)
    with slots.hold("a", timeout_s=0), pytest.raises(error):
        one.extract(b"<p>words", filename="a.html", media_type=None, caller=caller)


def test_extract_short_text_needs_no_slot():
    slots = FairSlots(1)
    one = extractor(timeout_s=1, slots=slots)
    with slots.hold("a", timeout_s=0):
        assert one.extract_text("One. Two.", caller="a").blocks
        assert one.extract(b"1,2", filename="a.csv", media_type=None, caller="a").blocks


def test_n_slots_follows_the_cpu_quota_from_two_to_eight():
    assert [n_slots(quota) for quota in (1, 2, 4, 64)] == [2, 2, 4, 8]


def test_extract_text_long_text_in_the_sandbox_gives_the_same():
    text = "\ufeffOne \ud800 line.\r\n\r\nTwo\0 lines.\n- and a bullet\n" * 3_000
    assert extractor().extract_text(text) == extract_text(text, max_chars=len(text))


@pytest.mark.parametrize(
    ("filename", "data"), [("a.txt", b"word\n\n" * 400_000), ("a.csv", b"word," * 5_000_000)]
)
def test_extract_long_plain_text_runs_under_the_sandbox_limits(filename, data):
    with pytest.raises(TooLarge, match="EXTRACT_MEMORY_BYTES"):
        extractor(memory_bytes=67_108_864).extract(data, filename=filename, media_type=None)


def test_extract_too_many_cells_names_the_limit():
    cells = b"a," * MAX_BLOCKS + b"a"
    with pytest.raises(TooLarge, match="1,000,000 paragraphs and table cells"):
        extractor().extract(cells, filename="a.csv", media_type=None)
    read = extractor().extract(cells[2:], filename="a.csv", media_type=None)
    assert len(read.blocks) == MAX_BLOCKS


@pytest.mark.parametrize("filename", ["a.txt", "a.csv", "a.html", "a.pdf", "a.docx"])
def test_extract_without_a_temporary_folder_reads_every_format(filename, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    data = documents.prose()[0].encode() * 1_000
    if filename == "a.pdf":
        data = documents.pdf_of_pages([["These are words."]])
    if filename == "a.docx":
        data = documents.docx_of(["These are words."])
    assert extractor().extract(data, filename=filename, media_type=None).blocks


def test_extract_without_a_free_descriptor_raises_overloaded(monkeypatch):
    def full(_name):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("os.memfd_create", full)
    with pytest.raises(Overloaded, match="no room"):
        extractor().extract(b"<p>words", filename="a.html", media_type=None)


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "a\0b", "rot13"])
@pytest.mark.timeout(120)  # a guard: punycode takes quadratic time
def test_extract_charset_that_is_no_text_charset_is_ignored(charset):
    data = b"b" * 300_000 + b"-" + b"b" * 300_000
    read = extractor().extract(data, filename="a.txt", media_type=f"text/plain; charset={charset}")
    assert read.text == data.decode()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_extract_docx_with_a_doctype_is_refused(encoding):
    prolog = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE x [<!ENTITY e "A risk.">]>'
    body = "<w:p><w:r><w:t>Fine.</w:t></w:r></w:p><w:p><w:r><w:t>&e;</w:t></w:r></w:p>"
    data = documents.docx_of_xml(body, prolog=prolog, encoding=encoding)
    with pytest.raises(UnreadableDocument, match="declares XML entities"):
        extractor().extract(data, filename="a.docx", media_type=None)
