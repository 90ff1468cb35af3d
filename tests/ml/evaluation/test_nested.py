"""Nested calibration: no document has a part in the calibration that decides it."""

from itertools import pairwise

import numpy as np
import pytest

from ml.corpus.dataset import Example
from ml.evaluation import nested
from ml.evaluation.calibration import TARGET
from ml.evaluation.metrics import calibration_error
from ml.evaluation.scoring import ExampleResults
from ml.evaluation.summary import figures
from service.nlp.artifacts.manifest import probabilities
from service.nlp.taxonomy import built_in
from tests.ml.evaluation.test_calibration import drawn

RISK_TYPES = built_in().risk_types

DOCS = [f"d{i % 12}" for i in range(240)]


def test_cross_fit_ignores_the_labels_of_the_own_document():
    logits, y = drawn(240)
    scores = probabilities(logits, temperature=1.0, bias=0.0)
    own = np.array(DOCS) == "d3"
    before = nested.cross_fit(scores, y, DOCS, taxonomy=built_in())
    y[own] = 1 - y[own]
    after = nested.cross_fit(scores, y, DOCS, taxonomy=built_in())
    assert (after.scores[own] == before.scores[own]).all()
    for sensitivity, hits in before.hits.items():
        assert (after.hits[sensitivity][own] == hits[own]).all()


def test_cross_fit_calibrates_overconfident_scores():
    logits, y = drawn(1200)
    bold = probabilities(3 * logits + 6, temperature=1.0, bias=0.0)
    docs = [f"d{i // 10}" for i in range(1200)]
    refitted = nested.cross_fit(bold, y, docs, taxonomy=built_in()).scores
    assert calibration_error(refitted, y) < calibration_error(bold, y) / 2


def test_folds_keep_documents_whole():
    docs = [f"d{i // 3}" for i in range(60)]
    fold = nested.folds(docs, 0)
    assert all(a == b for (a, d), (b, e) in pairwise(zip(fold, docs, strict=True)) if d == e)
    assert set(fold) == set(range(nested.N_FOLDS))


@pytest.fixture(scope="module")
def report():
    """Figures over two files of 120 sentences."""
    logits, y = drawn(240)
    scores = probabilities(logits, temperature=1.0, bias=0.0)
    examples = [
        Example(f"s{i}", tuple(np.array(RISK_TYPES)[y[i] > 0]), DOCS[i] + "ab"[i // 120],
                file=f"set-{'ab'[i // 120]}")
        for i in range(240)
    ]  # fmt: skip
    results = ExampleResults("x", built_in(), scores, {"balanced": scores > 0.4}, 1.0)
    return figures(results, examples, nested.nested_runs(scores, examples, taxonomy=built_in()))


def test_figures_have_a_block_for_all_sentences_and_for_each_file(report):
    sets = report["sets"]
    assert list(sets) == ["all", "set-a", "set-b"]
    assert sets["all"]["nested"] == report["nested"]
    assert [s["data"]["sentences"] for s in sets.values()] == [240, 120, 120]
    for figures_of_set in sets.values():
        assert 0 <= figures_of_set["calibration"]["pair_error"] <= 1


def test_promise_says_how_far_the_point_is_off(report):
    for figures_of_set in report["sets"].values():
        promises = figures_of_set["promises"]
        for point, key in (("recall", "risk_recall"), ("precision", "risk_precision")):
            assert promises[point]["off"] == pytest.approx(promises[point][key]["value"] - TARGET)


def test_analyzer_without_probabilities_has_no_nested_runs():
    assert nested.nested_runs(None, [Example("a", (), "d")], taxonomy=built_in()) == []
