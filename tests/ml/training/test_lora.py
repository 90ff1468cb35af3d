"""The linear layer with factors computes, and learns, as the plain formula does."""

import pytest
import torch
from torch import nn

from ml.training.lora import LoraLinear


@pytest.fixture
def layer():
    torch.manual_seed(5)
    layer = LoraLinear(nn.Linear(6, 4), 2, bfloat16=False)
    nn.init.normal_(layer.lora_b)
    return layer


def by_the_formula(layer, x):
    return x @ (layer.weight + layer.lora_b @ layer.lora_a).T + layer.bias


@pytest.mark.parametrize("bias", [True, False])
def test_new_layer_computes_what_its_base_does_and_keeps_its_weights(bias):
    base = nn.Linear(6, 4, bias=bias)
    x = torch.randn(2, 3, 6)
    layer = LoraLinear(base, 2, bfloat16=False)
    assert torch.allclose(layer(x), base(x), atol=1e-6)
    assert layer.state_dict().keys() - {"lora_a", "lora_b"} == base.state_dict().keys()


def test_outputs_and_gradients_are_those_of_the_formula(layer):
    results = []
    for forward in (layer, lambda x: by_the_formula(layer, x)):
        layer.zero_grad()
        x = torch.arange(36.0).reshape(2, 3, 6).div(10).requires_grad_()
        out = forward(x)
        (out**2).sum().backward()
        results.append([out, x.grad, layer.lora_a.grad, layer.lora_b.grad])
    assert all(torch.allclose(a, b, rtol=1e-4) for a, b in zip(*results, strict=True))


def test_only_the_factors_train(layer):
    assert {n for n, p in layer.named_parameters() if p.requires_grad} == {"lora_a", "lora_b"}


def test_bfloat16_layer_keeps_exact_weights_and_computes_to_two_digits():
    base = nn.Linear(64, 32)
    x = torch.randn(5, 64)
    layer = LoraLinear(base, 2, bfloat16=True)
    assert torch.equal(layer.weight, base.weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert (layer(x).float() - base(x).float()).abs().max() < 0.05
