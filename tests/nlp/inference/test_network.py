"""The network computes what transformers computes, and both directions of the tensor names agree."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import CONFIG_FILE, WEIGHTS_FILE
from tests.support.artifacts import SHIPPED
from tests.support.encoders import write_encoder

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import save_file  # noqa: E402 - after the skip above

from service.nlp.inference.network import Network, network_config  # noqa: E402
from service.nlp.inference.tensor_conversion import to_ours, to_transformers  # noqa: E402
from service.nlp.inference.torch_engine import TorchEngine  # noqa: E402

OWN = ["bert", "mpnet"]
IDS = torch.tensor([[2, 9, 30, 7, 41, 3], [2, 12, 3, 0, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]])


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """A random encoder of each architecture, as AutoModel opens it."""
    folder = tmp_path_factory.mktemp("encoders")
    names = [*OWN, "distilbert"]
    paths = {name: write_encoder(folder / name, name) for name in names}
    return {
        name: transformers.AutoModel.from_pretrained(path).eval() for name, path in paths.items()
    }


def network_around(encoder, pooling="mean"):
    config = network_config(encoder.config, n_labels=3, pooling=pooling, dropout=0.1)
    network = Network(config).eval()
    state = {f"encoder.{n}": v for n, v in encoder.state_dict().items() if "pooler" not in n}
    heads = {n: v for n, v in network.state_dict().items() if n.startswith("head.")}
    network.load_renamed({**state, **heads})
    return network


@pytest.mark.parametrize("name", [*OWN, "distilbert"])
def test_network_has_the_last_layer_of_transformers(encoders, name):
    encoder = encoders[name]
    network = network_around(encoder)
    with torch.no_grad():
        last = encoder(input_ids=IDS[1:, :3], attention_mask=MASK[1:, :3]).last_hidden_state
        pooled = network.pooled(IDS, MASK)[1]
        first = network_around(encoder, "first").pooled(IDS, MASK)[1]
    assert pooled.numpy() == pytest.approx(last[0].mean(0).numpy(), abs=1e-5)
    assert first.numpy() == pytest.approx(torch.tanh(2 * last[0, 0]).numpy(), abs=1e-5)
    assert pooled.abs().max() > 0.1


@pytest.mark.parametrize("name", OWN)
def test_names_converted_there_and_back_give_equal_outputs(encoders, name):
    encoder = encoders[name]
    config = network_config(encoder.config, n_labels=3, pooling="mean", dropout=0.1)
    ours = to_ours(encoder.state_dict(), config)
    again = transformers.AutoModel.from_config(encoder.config, add_pooling_layer=False).eval()
    again.load_state_dict(to_transformers(ours, config))
    with torch.no_grad():
        outputs = [
            e(input_ids=IDS, attention_mask=MASK).last_hidden_state for e in (encoder, again)
        ]
    assert (outputs[0] - outputs[1])[MASK.bool()].abs().max() < 1e-5
    back = to_ours(to_transformers(ours, config), config)
    assert ours.keys() == back.keys()
    assert all(torch.equal(ours[n], back[n]) for n in ours)


def test_mpnet_takes_each_token_for_a_token(encoders):
    """Its own class gives no place to a token whose id is that of padding."""
    network = network_around(encoders["mpnet"])
    ids = torch.tensor([[0, 1, 9, 2]])
    with torch.no_grad():
        own = network.encoder(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            position_ids=torch.tensor([[2, 3, 4, 5]]),
        )
        pooled = network.pooled(ids, torch.ones_like(ids))
    assert torch.equal(pooled, own.last_hidden_state.mean(1))


def test_bert_uses_fused_attention_and_mpnet_its_only_one(encoders):
    configs = {n: network_around(encoders[n]).encoder.config for n in OWN}
    kinds = {n: c._attn_implementation for n, c in configs.items()}  # noqa: SLF001 - no public name
    assert kinds == {"bert": "sdpa", "mpnet": "eager"}


@pytest.mark.parametrize("name", [*OWN, "distilbert"])
def test_engine_opens_an_artifact_of_the_architecture(encoders, name, tmp_path):
    network = network_around(encoders[name])
    (tmp_path / CONFIG_FILE).write_text(json.dumps(asdict(network.config)))
    state = {n: v.contiguous() for n, v in network.state().items()}
    save_file(state, tmp_path / WEIGHTS_FILE)  # float32: a matrix without a scale is as it is
    artifact = replace(artifacts.load(SHIPPED), path=tmp_path)
    engine = TorchEngine(artifact, device="cpu", n_threads=1)
    with torch.no_grad():
        expected = network.outputs(IDS, MASK).numpy()
    found = engine.outputs(IDS.numpy().astype(np.int64), MASK.numpy().astype(np.int64))
    assert found == pytest.approx(expected, abs=1e-6)
