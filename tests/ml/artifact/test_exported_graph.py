"""An architecture without a graph of our own is exported from torch, and computes the same."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import DistilBertConfig

from ml.artifact.network import write_network
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.network import Network, network_config
from service.nlp.inference.onnx_engine import OnnxEngine
from tests.support.artifacts import SHIPPED
from tests.support.networks import randomize

SIZES = DistilBertConfig(
    vocab_size=300, max_position_embeddings=64, dim=32, hidden_dim=64, n_layers=2, n_heads=4
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A small DistilBERT, and the engine of its exported graph."""
    config = network_config(SIZES, n_labels=5, pooling="mean", dropout=0.1)
    config = replace(config, influence=True)
    network = randomize(Network(config))
    folder = tmp_path_factory.mktemp("artifact")
    state = {name: value.numpy() for name, value in network.state().items()}
    write_network(state, config, folder, bits=7)
    return network, OnnxEngine(replace(artifacts.load(SHIPPED), path=folder), n_threads=1)


@pytest.mark.system
@pytest.mark.parametrize("lengths", [(1,), (64, 3, 20), (5, 5)])
def test_exported_graph_gives_the_float_outputs(exported, lengths):
    network, engine = exported
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    ids = np.random.default_rng(3).integers(5, 300, size=mask.shape) * mask
    with torch.inference_mode():
        expected = network.outputs(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    outputs = engine.outputs(ids, mask)
    assert outputs.shape == (len(lengths), 15)
    assert np.linalg.norm(outputs - expected) < 0.05 * np.linalg.norm(expected)
