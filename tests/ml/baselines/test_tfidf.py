"""The baseline `tfidf` learns from a handful of sentences."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from ml.baselines.tfidf import TfidfAnalyzer
from ml.corpus.dataset import Example, read_examples, targets
from ml.evaluation.metrics import any_risk, count, f1
from ml.evaluation.scoring import analyze_examples
from service.config.settings import ROOT
from service.nlp.taxonomy import built_in

RISK_TYPES = built_in().risk_types

COMPOSED = read_examples(ROOT / "ml/data/authored-a.jsonl", built_in())


def test_tfidf_learns_words_and_gives_probabilities():
    train, dev = COMPOSED[:500], COMPOSED[500:]
    analyzer = TfidfAnalyzer(train, built_in())
    analyzer.calibrate(dev)
    results = analyze_examples(analyzer, dev)
    assert results.scores.min() >= 0
    assert results.scores.max() <= 1
    counts = count(any_risk(results.hits["balanced"]), any_risk(targets(dev, built_in()) > 0))
    assert f1(counts.sum(axis=(0, 1))) > 0.5
    assert set(results.hits) == {"balanced", "recall", "precision"}


def test_tfidf_type_without_a_training_sentence_is_never_found():
    train = [Example(f"The server was down for {n} hours.", ("outage",), f"d{n}") for n in range(9)]
    train += [Example(f"Lunch is served at {n}.", (), f"e{n}") for n in range(9)]
    logits = TfidfAnalyzer(train, built_in()).logits(["The server was down."])
    assert RISK_TYPES[int(logits.argmax())] == "outage"
    assert (np.delete(logits, RISK_TYPES.index("outage")) == -10).all()
