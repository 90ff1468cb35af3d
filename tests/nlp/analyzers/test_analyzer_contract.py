"""The contract of every analyzer: the local model (ONNX and torch), an LLM, another service."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import accumulate

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from service.errors import AnalyzerError, AnalyzerTimeout, ShuttingDown
from service.nlp.analyzers.base import Analyzer
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.deadline import Deadline
from service.nlp.document import Document
from service.nlp.extraction.text_builder import storable
from service.nlp.inference.neighbour_context import RADIUS
from service.nlp.inference.onnx_engine import OnnxEngine
from service.nlp.segmentation.segmenter import Segmenter
from service.nlp.taxonomy import built_in
from tests.fakes.engine import NotANumberEngine
from tests.nlp.conftest import MODEL_DIR, NEEDS_TORCH
from tests.nlp.prose import HARMLESS, RISK, extracted, filler, planted

RISK_TYPES = built_in().risk_types

MODES = ["json_schema", "json_object", "text"]
ANALYZERS = ["local", pytest.param("local_torch", marks=NEEDS_TORCH), *MODES, "remote"]
SEGMENTER = Segmenter()


@pytest.fixture(params=ANALYZERS)
def analyzer(request: pytest.FixtureRequest) -> Analyzer:
    if request.param in MODES:
        return request.getfixturevalue("open_llm")(request.param)
    return request.getfixturevalue(request.param)


def document(*paragraphs: str) -> Document:
    return SEGMENTER.segment(extracted(*map(storable, paragraphs)))  # as extraction leaves them


def contexts(analyzer: Analyzer, *paragraphs: str) -> set[str]:
    return {f.context for f in analyzer.analyze(document(*paragraphs)).findings}


def test_analyze_empty_document_finds_nothing(analyzer):
    assert analyzer.analyze(document("")).findings == []


def test_analyze_harmless_sentence_finds_nothing(analyzer):
    assert analyzer.analyze(document("Lunch is served at noon in the main hall.")).findings == []


def test_analyze_risk_gives_types_of_the_taxonomy_and_the_exact_span(analyzer):
    analysis = analyzer.analyze(document("Lunch is served at noon.", RISK))
    assert analysis.findings
    for f in analysis.findings:
        assert f.context == RISK
        assert (f.start, f.end) == (26, 26 + len(RISK))
        assert f.category == built_in().category_of(f.risk_type)


def test_analyze_result_names_its_source_and_has_probabilities_in_range(analyzer):
    analysis = analyzer.analyze(document(RISK))
    assert analysis.source in {"model", "llm"}
    assert analysis.model_name == analyzer.model_name
    for f in analysis.findings:
        assert f.score is None or 0.0 < f.score <= 1.0


def test_analyze_more_sentences_than_a_batch_finds_each_in_document_order(analyzer):
    pages = [f"{RISK} " + " ".join(f"See page {n}{i}." for i in range(12)) for n in range(24)]
    found = analyzer.analyze(document(*pages)).findings
    risks = [f for f in found if f.context == RISK]
    keys = [(f.start, RISK_TYPES.index(f.risk_type)) for f in risks]
    assert len({f.start for f in risks}) == 24
    assert keys == sorted(keys)


@pytest.mark.parametrize("n_before", [0, 20, 40])
def test_analyze_sentence_longer_than_the_window_is_read_whole(analyzer, artifact, n_before):
    words = [*["the hall has a table,"] * n_before, f"{RISK[:-1]},"]
    words += ["the hall has a table,"] * (40 - n_before)
    long_one = " ".join(words).capitalize() + " and a door."
    assert len(artifact.tokenizer().encode(long_one).ids) > artifact.manifest.max_length_tokens
    assert {"tight-budget", "aggressive-deadline"} <= {
        f.risk_type for f in analyzer.analyze(document(long_one)).findings if f.context == long_one
    }


@pytest.mark.parametrize(
    "strange",
    ["\U0001f469\u200d\U0001f467 \U0001d54f", "\u202b\u0645\u0631\u062d\u0628\u0627\u202c \u200f",
     "a\ufffdb", "e\u0301" * 50, "\u6f22\u5b57" * 90, "x" * 300, "\u00a0 \u2028 y"],
)  # fmt: skip
def test_analyze_strange_characters_do_not_move_the_spans(analyzer, strange):
    source = document(strange, RISK, strange)
    found = [f for f in analyzer.analyze(source).findings if f.context == RISK]
    assert found
    assert all(source.text[f.start : f.end] == f.context for f in found)


@pytest.mark.parametrize(
    "mark", ["\x00", "\ud800", "\u200f", "\u202e", "\u2066", "\ufeff"], ids=ascii
)
def test_analyze_invisible_characters_around_a_risk_do_not_hide_it(analyzer, mark):
    source = document(
        f"Noon.{mark} {mark}{RISK}{mark} {mark}Lunch{mark} is served.", f"{mark}{mark}"
    )
    found = [f for f in analyzer.analyze(source).findings if RISK in f.context]
    assert {"tight-budget", "aggressive-deadline"} <= {f.risk_type for f in found}
    assert all(source.text[f.start : f.end] == f.context for f in found)


def test_analyze_sentence_that_stands_twice_is_found_twice(analyzer):
    found = analyzer.analyze(document(RISK, "Lunch is served at noon.", RISK)).findings
    assert {f.start for f in found} == {0, len(RISK) + 28}


def test_analyze_sentence_among_many_is_found_as_it_is_alone(analyzer):
    alone = [(f.risk_type, f.score) for f in analyzer.analyze(document(RISK)).findings]
    many = analyzer.analyze(document(*HARMLESS, RISK, "word " * 250)).findings
    beside = [(f.risk_type, f.score) for f in many if f.context == RISK]
    assert [r for r, _ in alone] == [r for r, _ in beside]
    for (_, a), (_, b) in zip(alone, beside, strict=True):
        assert a == b or abs(a - b) < 0.2  # its neighbours bear on it, a little


@pytest.mark.parametrize("name", ["local", pytest.param("local_torch", marks=NEEDS_TORCH)])
def test_analyze_distant_sentences_do_not_change_a_score(request, name):
    analyzer = request.getfixturevalue(name)
    near = [*HARMLESS, RISK, *(f"Item {k} is served at noon." for k in range(RADIUS))]
    short, long = (
        [(f.risk_type, f.score) for f in analyzer.analyze(found).findings if f.context == RISK]
        for found in (
            document(*near),
            document(*near, "word " * 250, *["The vendor may fail."] * 9),
        )
    )
    assert [r for r, _ in short] == [r for r, _ in long]
    assert [p for _, p in short] == pytest.approx([p for _, p in long], abs=1e-4)


def test_analyze_eight_callers_at_once_get_what_one_gets(analyzer):
    source = document(RISK, *HARMLESS)
    alone = [(f.risk_type, f.start) for f in analyzer.analyze(source).findings]
    with ThreadPoolExecutor(8) as pool:
        for analysis in pool.map(analyzer.analyze, [source] * 8):
            assert [(f.risk_type, f.start) for f in analysis.findings] == alone


def test_analyze_expired_deadline_raises_timeout_with_retry_after(analyzer):
    with pytest.raises(AnalyzerTimeout) as caught:
        analyzer.analyze(document(RISK), deadline=Deadline.after(0))
    assert caught.value.retry_after_s


def test_analyze_progress_ends_at_all_sentences(analyzer):
    seen = []
    analyzer.analyze(document(RISK, *HARMLESS), progress=lambda *step: seen.append(step))
    assert seen[-1] == (13, 13)


@pytest.fixture
def own_local(artifact):
    return LocalAnalyzer(artifact, OnnxEngine(artifact, n_threads=1))


@pytest.mark.parametrize("name", ["own_local", "open_llm", "remote"])
def test_analyze_after_close_raises_and_never_answers_empty(request, name):
    fixture = request.getfixturevalue(name)
    analyzer = fixture if isinstance(fixture, Analyzer) else fixture("json_schema")
    analyzer.close()
    with pytest.raises(ShuttingDown):
        analyzer.analyze(document(RISK))


@pytest.mark.parametrize("call", ["analyze", "score"])
def test_analyze_or_score_nan_outputs_raise_analyzer_error(artifact, call):
    with (
        closing(LocalAnalyzer(artifact, NotANumberEngine())) as analyzer,
        pytest.raises(AnalyzerError, match="refused"),
    ):
        analyzer.analyze(document(RISK)) if call == "analyze" else analyzer.score([RISK])


@pytest.mark.parametrize("joint", [" ", "\n", "  "])
@settings(max_examples=4, deadline=None)
@given(at=st.integers(0, 1_500))
def test_analyze_risk_on_a_line_inside_a_paragraph_is_found(local, joint, at):
    lines = filler(1_500)
    number = sum(end <= at for end in accumulate(map(len, lines)))
    text = joint.join([*lines[:number], RISK, *lines[number:]])
    assert_planted_is_found(local, document(text))


@settings(max_examples=6, deadline=None)
@given(n_chars=st.integers(60, 4_000), seed=st.integers(0, 2**32))
def test_analyze_planted_risk_is_found_with_its_exact_span(local, n_chars, seed):
    assert_planted_is_found(local, SEGMENTER.segment(planted(n_chars, seed)))


@pytest.fixture(scope="module")
def all_cores():
    analyzer = LocalAnalyzer.open(MODEL_DIR, device="cpu")
    yield analyzer
    analyzer.close()


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(
    "n_chars", [60_000, pytest.param(2_000_000, marks=pytest.mark.slow)], ids="{:_}".format
)
def test_analyze_risk_planted_in_a_long_document_is_found(all_cores, n_chars):
    source = SEGMENTER.segment(planted(n_chars, random.randrange(2**32)))
    assert len(set(source.sentence_texts())) == len(source.sentences) > n_chars // 66
    assert_planted_is_found(all_cores, source)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@settings(max_examples=4, deadline=None, phases=[Phase.generate])
@given(n_chars=st.sampled_from([200_000, 700_000, 2_000_000]), seed=st.integers(0, 2**32))
def test_analyze_risk_planted_in_a_book_is_found_with_its_exact_span(all_cores, n_chars, seed):
    assert_planted_is_found(all_cores, SEGMENTER.segment(planted(n_chars, seed)))


def assert_planted_is_found(analyzer: Analyzer, source: Document) -> None:
    at = source.text.index(RISK)
    deadline = Deadline.after(600)
    found = analyzer.analyze(source, deadline=deadline).findings
    planted_one = [f for f in found if f.context == RISK]
    assert planted_one
    assert all((f.start, f.end) == (at, at + len(RISK)) for f in planted_one)
    assert all(source.text[f.start : f.end] == f.context for f in found)
