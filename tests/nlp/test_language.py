"""Language detection on authored sentences in fourteen languages, and on the English of ml/data."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from service.nlp.document import Document, Sentence
from service.nlp.language import LanguageDetector
from service.nlp.span_sequence import SpanSequence

ROOT = Path(__file__).resolve().parents[2]
with (ROOT / "tests/support/languages.tsv").open(encoding="utf-8") as file:
    LINES = [
        (code, text) for code, text in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
    ]
CODES = sorted({code for code, _ in LINES})


@pytest.fixture(scope="module")
def detector():
    return LanguageDetector()


def document(*sentences):
    spans, start = [], 0
    for sentence in sentences:
        spans.append(Sentence(start, start + len(sentence)))
        start += len(sentence) + 1
    return Document("\n".join(sentences), tuple(spans))


def lines_in(code):
    return [text for line_code, text in LINES if line_code == code]


@pytest.mark.parametrize("code", CODES)
def test_detect_page_is_in_its_language_alone(detector, code):
    assert detector.detect(document(*lines_in(code))).shares == {code: 1.0}


@pytest.mark.parametrize("code", CODES)
def test_detect_six_headings_are_in_their_language(detector, code):
    assert detector.detect(document(*lines_in(code)[:6])).main == code


def test_detect_single_lines_are_rarely_wrong_and_never_foreign_as_english(detector):
    answers = [(code, detector.detect(document(text)).main) for code, text in LINES]
    known = [(code, answer) for code, answer in answers if answer is not None]
    assert len(known) >= 0.88 * len(LINES)
    assert sum(code != answer for code, answer in known) <= 3
    assert all(code == "en" for code, answer in known if answer == "en")


def test_detect_english_of_every_kind_is_english(detector):
    texts = []
    for path in sorted(ROOT.glob("ml/data/authored-*.jsonl")):
        texts += [json.loads(line)["text"] for line in path.read_text().splitlines()[:400]]
    pages = [texts[i : i + 40] for i in range(0, len(texts), 40)]
    shares = [detector.detect(document(*page)).total_share({"en"}) for page in pages]
    assert len(shares) > 200
    assert sum(share < 0.9 for share in shares) <= 1


@pytest.mark.parametrize("n_english", [1, 5, 9])
def test_detect_mixed_document_has_both_shares(detector, n_english):
    english, german = "\n".join(lines_in("en")[6:]), "\n".join(lines_in("de")[6:])
    sentences = (english.split("\n") * n_english) + (german.split("\n") * (10 - n_english))
    found = detector.detect(document(*sentences)).shares
    assert set(found) == {"de", "en"}
    assert found["en"] == pytest.approx(n_english / 10, abs=0.12)


@pytest.mark.parametrize("text", ["", "12.5 %", "A-1", "\ud800", "=" * 500])
def test_detect_without_words_names_no_language(detector, text):
    assert detector.detect(document(text)).main is None


def test_detect_table_of_numbers_looks_at_a_part_of_its_cells(detector):
    n_cells, read_cells = 200_000, []

    def cell(start, end):
        read_cells.append(start)
        return Sentence(start, end)

    offsets = np.arange(n_cells)[:, None] * 2 + [0, 1]
    assert detector.detect(Document("1\t" * n_cells, SpanSequence(offsets, cell))).shares == {}
    assert 0 < len(read_cells) < n_cells / 4
