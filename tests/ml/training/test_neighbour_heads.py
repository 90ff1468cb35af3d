"""Neighbour heads: learned from real dependencies, and equal in training, torch and the graph."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ml.artifact.network import write_network
from ml.corpus.dataset import Example
from ml.training import neighbour_heads
from service.nlp.inference.neighbour_context import document_logits
from service.nlp.inference.network_config import NetworkConfig
from tests.support.artifacts import SHIPPED

HIDDEN, N_TYPES = 12, 37


def documents(n_documents, n_sentences):
    return [
        Example("A sentence.", (), doc=f"d{d}", id=f"s{k}")
        for d in range(n_documents)
        for k in range(n_sentences)
    ]


def planted(examples, seed):
    """Sentences whose first type depends only on the preceding sentence."""
    random = np.random.default_rng(seed)
    pooled = random.normal(size=(len(examples), HIDDEN)).astype(np.float32)
    y = np.zeros((len(examples), N_TYPES), np.float32)
    for k in range(1, len(examples)):
        if examples[k].doc == examples[k - 1].doc:
            y[k, 0] = pooled[k - 1, 0] > 0.5
    logits = np.full(y.shape, -4.0, np.float32)
    logits[:, 0] = -1.0
    return pooled, logits, y


def outputs_of(pooled, logits, found):
    unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    of_others = unit @ found["influence.weight"].T + found["influence.bias"]
    return np.hstack([logits, of_others]).astype(np.float32)


def test_fit_learns_a_dependency_on_the_preceding_sentence():
    examples = documents(60, 20)
    found = neighbour_heads.fit(*planted(examples, seed=1), examples)
    pooled, logits, y = planted(examples, seed=2)
    outputs = outputs_of(pooled, logits, found)
    in_document = np.vstack(
        [document_logits(outputs[k : k + 20], N_TYPES) for k in range(0, 1200, 20)]
    )
    stated, others = in_document[y[:, 0] > 0, 0], in_document[y[:, 0] == 0, 0]
    assert stated.mean() > others.mean() + 0.7
    assert np.abs(in_document[:, 1:] - logits[:, 1:]).mean() < 0.5


def test_fit_without_neighbours_has_no_influence():
    examples = documents(400, 1)
    pooled, logits, y = planted(examples, seed=1)
    y[::7, 0] = 1
    found = neighbour_heads.fit(pooled, logits, y, examples)
    assert np.abs(found["influence.weight"]).max() == pytest.approx(0, abs=1e-6)


def test_surroundings_stop_at_gaps_and_documents():
    examples = [Example("x", (), doc=d, id=i) for d, i in [("a", "s1"), ("a", "s9"), ("b", "s2")]]
    assert not neighbour_heads.surroundings(np.ones((3, 2), np.float32), examples).any()


def test_graph_outputs_of_neighbour_heads_equal_torch(tmp_path):
    from service.nlp.artifacts import artifact as artifacts  # noqa: PLC0415
    from service.nlp.inference.onnx_engine import OnnxEngine  # noqa: PLC0415
    from service.nlp.inference.torch_engine import load_network  # noqa: PLC0415

    shipped = artifacts.load(SHIPPED)
    state = load_network(shipped).state()
    config = NetworkConfig(N_TYPES, influence=True)
    random = torch.Generator().manual_seed(3)
    state["influence.weight"] = torch.randn(2 * N_TYPES, 384, generator=random)
    state["influence.bias"] = torch.randn(2 * N_TYPES, generator=random)
    write_network({n: v.detach().numpy() for n, v in state.items()}, config, tmp_path, bits=8)
    artifact = replace(shipped, path=tmp_path)
    model = load_network(artifact)
    engine = OnnxEngine(artifact, n_threads=1)
    ids = np.array([[101, 2622, 2038, 4389, 5166, 102], [101, 7909, 102, 0, 0, 0]], np.int64)
    mask = (ids > 0).astype(np.int64)
    with torch.inference_mode():
        expected = model.outputs(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    found = engine.outputs(ids, mask)
    assert found.shape == (2, engine.n_outputs) == (2, 3 * N_TYPES)
    assert found == pytest.approx(expected, abs=0.25)


def test_refitted_heads_give_moved_vectors_the_same_influence():
    random = np.random.default_rng(5)
    heads = {
        "influence.weight": random.normal(size=(2 * N_TYPES, HIDDEN)).astype(np.float32),
        "influence.bias": random.normal(size=2 * N_TYPES).astype(np.float32),
    }
    rotation = np.linalg.qr(random.normal(size=(HIDDEN, HIDDEN)))[0].astype(np.float32)
    before, unseen = (random.normal(size=(n, HIDDEN)).astype(np.float32) for n in (300, 20))
    found = neighbour_heads.refitted(before, 2 * before @ rotation, heads)
    none = np.zeros((20, 0), np.float32)
    influence = outputs_of(unseen, none, heads)
    assert np.allclose(outputs_of(unseen @ rotation, none, found), influence, atol=1e-3)


def test_refitting_unmoved_vectors_changes_no_head():
    random = np.random.default_rng(6)
    heads = {
        "influence.weight": random.normal(size=(2 * N_TYPES, HIDDEN)).astype(np.float32),
        "influence.bias": random.normal(size=2 * N_TYPES).astype(np.float32),
    }
    vectors = random.normal(size=(5, HIDDEN)).astype(np.float32)
    found = neighbour_heads.refitted(vectors, vectors, heads)
    assert all(np.allclose(found[name], heads[name], atol=1e-6) for name in heads)
