"""What SentenceScorer does for every scorer: batches, distinct sentences, checks, thresholds."""

import numpy as np
import pytest

from service.errors import AnalyzerError, AnalyzerTimeout, TooLarge
from service.nlp import arrays
from service.nlp.analyzers import base
from service.nlp.analyzers.base import SentenceScorer
from service.nlp.artifacts.operating_points import SENSITIVITIES, OperatingPoint
from service.nlp.deadline import Deadline
from service.nlp.document import Document, Sentence
from service.nlp.taxonomy import built_in

RISK_TYPES = built_in().risk_types

N = len(RISK_TYPES)


class LengthScorer(SentenceScorer):
    """The score of each risk type is a hundredth of the sentence's length."""

    source = "model"
    model_name, model_version = "length", "1"
    batch_size = 3
    taxonomy = built_in()

    def __init__(self):
        thresholds = OperatingPoint(0.8, np.full(N, 0.05, np.float32))  # five letters reach both
        self.operating_points = dict.fromkeys(SENSITIVITIES, thresholds)
        self.batches = []

    def score_batch(self, sentences, *, deadline=None):  # noqa: ARG002 - the interface
        self.batches.append(list(sentences))
        lengths = np.array([len(s) for s in sentences], np.float32) / 100
        return np.repeat(lengths[:, None], N, axis=1)


class ConstantScorer(LengthScorer):
    """Returns the same array for each batch."""

    def __init__(self, scores):
        super().__init__()
        self._scores = scores

    def score_batch(self, sentences, *, deadline=None):  # noqa: ARG002 - the interface
        return self._scores


def document(*sentences):
    spans, start = [], 0
    for sentence in sentences:
        spans.append(Sentence(start, start + len(sentence)))
        start += len(sentence) + 1
    return Document("\n".join(sentences), tuple(spans))


@pytest.fixture
def scorer():
    return LengthScorer()


def test_score_repeated_sentences_scores_each_once_and_restores_the_order(scorer):
    scores = scorer.score(["bb", "a", "bb", "ccc", "a", "dddd"])
    assert scorer.batches == [["bb", "a", "ccc"], ["dddd"]]
    assert scores[:, 0] == pytest.approx([0.02, 0.01, 0.02, 0.03, 0.01, 0.04])


def test_score_no_sentences_returns_no_rows(scorer):
    assert scorer.score([]).shape == (0, N)
    assert scorer.batches == []


@pytest.mark.parametrize("rows_at_once", [1, 2, 100])
def test_score_document_in_blocks_of_any_size_gives_the_same(scorer, monkeypatch, rows_at_once):
    monkeypatch.setattr(arrays, "ROWS", rows_at_once)
    sentences = ["a", "bb", "a", "ccc", "dddd"]
    assert np.array_equal(scorer.score_document(sentences), scorer.score(sentences))


def test_analyze_score_at_the_threshold_gives_a_finding_for_each_type_in_order(scorer):
    findings = scorer.analyze(document("four", "fives", "four")).findings
    assert [f.risk_type for f in findings] == list(RISK_TYPES)
    assert {(f.context, f.start, f.end) for f in findings} == {("fives", 5, 10)}


def test_analyze_progress_counts_distinct_sentences_after_each_batch(scorer):
    steps = []
    scorer.analyze(document(*"aabcd"), progress=lambda *step: steps.append(step))
    assert steps == [(3, 4), (4, 4)]


def test_analyze_expired_deadline_raises_timeout_before_the_first_batch(scorer):
    with pytest.raises(AnalyzerTimeout):
        scorer.analyze(document("a"), deadline=Deadline.after(0))
    assert scorer.batches == []


def test_analyze_too_many_findings_names_the_limit(scorer, monkeypatch):
    monkeypatch.setattr(base, "MAX_FINDINGS", N)
    assert len(scorer.analyze(document("fives")).findings) == N
    with pytest.raises(TooLarge, match=f"more than {N} findings"):
        scorer.analyze(document("fives", "sevenths"))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (np.full((1, N), np.nan, np.float32), r"outside \[0, 1\]"),
        (np.full((1, N), 1.01, np.float32), r"outside \[0, 1\]"),
        (np.full((1, N), -0.01, np.float32), r"outside \[0, 1\]"),
        (np.zeros((1, N - 1), np.float32), rf"shape \(1, {N - 1}\)"),
        (np.zeros((2, N), np.float32), "2 rows for 1 sentences"),
    ],
)
@pytest.mark.parametrize("method", ["analyze", "score", "score_document"])
def test_faulty_scores_raise_analyzer_error(scores, message, method):
    argument = document("a") if method == "analyze" else ["a"]
    with pytest.raises(AnalyzerError, match=message):
        getattr(ConstantScorer(scores), method)(argument)
