"""Quantization loses at most half a step, and the engines read back what was written."""

import numpy as np
import pytest

from ml.artifact.quantization import quantize, quantized_rows
from service.nlp.inference.torch_engine import dequantized


@pytest.mark.parametrize(("bits", "top"), [(7, 63), (8, 127)])
def test_quantized_rows_are_within_half_a_step(bits: int, top: int):
    sizes = np.array([[1], [10], [100], [0.01], [0]])
    weight = (np.random.default_rng(0).normal(size=(5, 40)) * sizes).astype(np.float32)
    ints, scale = quantized_rows(weight, bits)
    assert np.abs(ints).max() <= top
    assert (np.abs(ints * scale[:, None] - weight) <= scale[:, None] * 0.501).all()


def test_quantized_rows_keep_small_steps_away_from_integers():
    rng = np.random.default_rng(2)
    grid = rng.integers(-63, 64, size=(50, 400)).astype(np.float32)
    grid[:, 0] = 63
    learned = rng.normal(size=grid.shape).astype(np.float32)  # a direction
    moved = grid + 0.1 * learned
    moved[:, 0] = 63
    ints, scale = quantized_rows(moved, 7)
    share_kept = ((ints * scale[:, None] - grid) * learned).sum() / (learned * learned).sum()
    assert share_kept == pytest.approx(0.1, rel=0.15)
    assert (quantized_rows(moved, 7)[0] == ints).all(), "the same weights, another rounding"
    assert (quantized_rows(grid, 7)[0] == grid).all()


def test_seven_bits_cannot_saturate_a_pair_of_products():
    """AVX2 without VNNI adds two products of an unsigned and a signed byte in 16 bits."""
    ints, _ = quantized_rows(np.array([[1.0, -1.0]], np.float32), 7)
    assert 2 * 255 * int(np.abs(ints).max()) <= np.iinfo(np.int16).max


def test_quantize_is_inverted_by_dequantized():
    rng = np.random.default_rng(1)
    state = {
        "words.weight": rng.normal(size=(7, 4)).astype(np.float32),
        "layers.0.qkv.weight": rng.normal(size=(12, 4)).astype(np.float32),
        "layers.0.qkv.bias": rng.normal(size=12).astype(np.float32),
        "head.weight": rng.normal(size=(3, 4)).astype(np.float32),
    }
    read = dequantized(quantize(state, 8))
    assert read.keys() == state.keys()
    for name, value in state.items():
        assert read[name].shape == value.shape
        assert np.abs(read[name] - value).max() < 0.02
