"""The integer graph computes what the float network computes, for each architecture and pooling."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from ml.artifact.network import write_network
from ml.artifact.relative_positions import buckets
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import EXIT_FILE
from service.nlp.inference.network import Network
from service.nlp.inference.network_config import NetworkConfig
from service.nlp.inference.onnx_engine import OnnxEngine
from tests.support.artifacts import SHIPPED
from tests.support.networks import randomize

LENGTHS = (3, 40, 17, 1, 150, 8)
KINDS = [(a, p) for a in ("bert", "mpnet") for p in ("mean", "first")]


def config_of(architecture, pooling):
    return NetworkConfig(
        n_labels=5,
        influence=True,
        hidden_size=64,
        intermediate_size=128,
        n_layers=3,
        n_heads=4,
        vocab_size=300,
        max_positions=160,
        architecture=architecture,
        pooling=pooling,
    )


def batch(lengths=LENGTHS):
    """Return ids and mask, int64 (b, t), of random tokens padded to the longest row."""
    rng = np.random.default_rng(3)
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    return rng.integers(5, 300, size=mask.shape) * mask, mask


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def networks(request, tmp_path_factory):
    """The float network, and the engine of its integer graph."""
    config = config_of(*request.param)
    network = randomize(Network(config))
    folder = tmp_path_factory.mktemp("artifact")
    state = {name: value.numpy() for name, value in network.state().items()}
    write_network(state, config, folder, bits=7)  # processors without VNNI saturate with 8
    return network, OnnxEngine(replace(artifacts.load(SHIPPED), path=folder), n_threads=1)


def test_graph_gives_the_float_outputs(networks):
    network, engine = networks
    ids, mask = batch()
    with torch.inference_mode():
        expected = network.outputs(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    difference = engine.outputs(ids, mask) - expected
    assert np.linalg.norm(difference) < 0.05 * np.linalg.norm(expected)


def test_graph_gives_a_row_the_same_outputs_in_every_batch(networks):
    _, engine = networks
    ids, mask = batch()
    together = engine.outputs(ids, mask)
    for row, length in enumerate(LENGTHS):
        alone = engine.outputs(ids[row : row + 1, :length], mask[row : row + 1, :length])
        assert np.abs(alone[0] - together[row]).max() < 1e-6 * np.abs(together).max()


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def exits(request, tmp_path_factory):
    """The engines of one network's graphs without an exit and with one."""
    config, rng = config_of(*request.param), np.random.default_rng(5)
    state = {n: v.numpy() for n, v in randomize(Network(config)).state().items()}
    shapes = {"hidden": (7, 64), "score": (1, 7), "influence": (10, 64)}
    heads = {f"exit.{name}.weight": rng.normal(size=shape) for name, shape in shapes.items()}
    heads |= {f"exit.{name}.bias": rng.normal(size=shape[0]) for name, shape in shapes.items()}
    engines = []
    for with_heads in (False, True):
        folder = tmp_path_factory.mktemp("artifact")
        if with_heads:
            save_file({n: v.astype(np.float32) for n, v in heads.items()}, folder / EXIT_FILE)
        write_network(state, config, folder, bits=7)
        engines.append(OnnxEngine(replace(artifacts.load(SHIPPED), path=folder), n_threads=1))
    return engines


def thresholds(values):
    return np.array(values, np.float32)


def test_row_that_stays_has_the_outputs_of_the_graph_without_an_exit(exits):
    plain, engine = exits
    ids, mask = batch()
    expected = plain.outputs(ids, mask)
    assert np.array_equal(engine.outputs(ids, mask), expected)
    below = thresholds([np.inf, -np.inf, np.inf, -np.inf, -np.inf, np.inf])
    outputs = engine.early_outputs(ids, mask, below)
    difference = np.abs(outputs - expected)[[1, 3, 4]]
    assert difference.max() < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("rows", [[0, 2, 5], [0, 1, 2, 3, 4, 5]])
def test_row_that_leaves_has_no_logits_and_an_estimated_influence(exits, rows):
    ids, mask = batch()
    below = thresholds([np.inf if row in rows else -np.inf for row in range(len(LENGTHS))])
    outputs = exits[1].early_outputs(ids, mask, below)
    assert np.isneginf(outputs[rows, :5]).all()
    assert np.isfinite(outputs[rows, 5:]).all()
    assert np.isfinite(np.delete(outputs, rows, axis=0)).all()
    alone = exits[1].early_outputs(ids[:1, :3], mask[:1, :3], thresholds([np.inf]))
    assert np.abs(alone[0, 5:] - outputs[0, 5:]).max() < 1e-5


def test_buckets_are_those_of_transformers():
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder  # noqa: PLC0415 - slow to import

    distances = np.arange(-600, 601)
    theirs = MPNetEncoder.relative_position_bucket(torch.from_numpy(distances), num_buckets=32)
    assert (buckets(distances, 32) == theirs.numpy()).all()
