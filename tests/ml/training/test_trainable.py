"""LoRA trains what it should; merged weights and recomputed layers compute the same."""

from dataclasses import replace

import pytest
import torch

from ml import settings
from ml.training.optimizers import Optimizers
from ml.training.trainable import merged_state, prepare
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.inference.network import Network
from service.nlp.inference.network_config import NetworkConfig

RECIPE = replace(
    settings.load(ROOT / "ml/configs/retrain.toml").train,
    encoder_lr=1e-2,
    lora_b_lr=4e-2,
    bfloat16=False,  # its rounding exceeds the tolerances below, on a CPU that has it
)
IDS = torch.tensor([[2, 9, 30, 7, 3], [2, 12, 3, 0, 0]])
MASK = (IDS > 0).long()


def network(architecture, **changes):
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "n_layers": 2, "n_heads": 4}
    return Network(
        NetworkConfig(
            3, vocab_size=50, dropout=0.0, architecture=architecture, **{**sizes, **changes}
        )
    )


def trained_with_factors(architecture):
    model = network(architecture)
    prepare(model, replace(RECIPE, lora_rank=2))
    optimizers = Optimizers(model, RECIPE, 4, lazy_words=False)
    for n in range(3):
        optimizers.zero()
        model(IDS, MASK).square().sum().backward()
        optimizers.step(n)
    return model


@pytest.mark.parametrize("architecture", ["bert", "mpnet"])
def test_merged_factors_compute_the_same_without_them(architecture):
    model = trained_with_factors(architecture).eval()
    plain = network(architecture).eval()
    before = plain(IDS, MASK)
    plain.load_state(merged_state(model))
    assert torch.allclose(plain(IDS, MASK), model(IDS, MASK), atol=1e-5)
    assert (plain(IDS, MASK) - before).abs().max() > 0.1


def test_factors_norms_and_head_train_and_nothing_else():
    before, after = network("bert").state(), merged_state(trained_with_factors("bert"))
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    parts = ("qkv.weight", "attention_out.weight", "ffn_in.weight", "ffn_out.weight")
    norms = ("norm.weight", "norm.bias")
    assert changed == {n for n in before if n.endswith((*parts, *norms)) or n.startswith("head.")}


def test_second_factors_have_their_own_rate():
    model = network("bert")
    prepare(model, replace(RECIPE, lora_rank=2))
    groups = Optimizers(model, RECIPE, 4, lazy_words=False).all[0].param_groups
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    named = dict(model.named_parameters())
    assert {rates[id(p)] for n, p in named.items() if n.endswith(".lora_b")} == {4e-2}
    assert {rates[id(p)] for n, p in named.items() if n.endswith(".lora_a")} == {1e-2}


@pytest.mark.parametrize("architecture", ["bert", "mpnet"])
@pytest.mark.parametrize("rank", [0, 2])
def test_recomputed_layers_give_the_same_gradient(architecture, rank):
    gradients = []
    for recompute in (False, True):
        model = network(architecture)
        prepare(model, replace(RECIPE, lora_rank=rank, gradient_checkpointing=recompute))
        model.train()(IDS, MASK).square().sum().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.allclose(gradients[0][n], gradients[1][n], atol=1e-6) for n in gradients[0])


def test_recomputed_layers_are_recomputed():
    model = network("mpnet")
    calls = []
    layer = model.encoder.encoder.layer[0]
    layer.attention.register_forward_hook(lambda *_: calls.append(1))
    prepare(model, replace(RECIPE, gradient_checkpointing=True))
    model.train()(IDS, MASK).sum().backward()
    assert len(calls) == 2


def test_encoder_that_cannot_recompute_names_the_setting():
    fields = {"dim": 16, "n_layers": 1, "n_heads": 4, "hidden_dim": 32, "vocab_size": 50}
    model = network("distilbert", transformers=fields)
    model.encoder.supports_gradient_checkpointing = False
    with pytest.raises(ConfigError, match="gradient_checkpointing = false"):
        prepare(model, replace(RECIPE, gradient_checkpointing=True))
