"""Quantization: round the trained weights to integers, in one file that both engines read.

Symmetric, one scale per output channel of a matrix and per row of the word table; norms, biases,
positions and head stay float32. With 7 bits (-63 to 63) no CPU can saturate: the AVX2 kernels of
processors without VNNI add two products of an unsigned and a signed byte in 16 bits, and
2 * 255 * 63 still fits. With 8 bits such a processor would give other scores than the exporting one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from service.nlp.arrays import Floats

Array = npt.NDArray[np.generic]

LINEAR = ("qkv", "attention_out", "ffn_in", "ffn_out")

_ON_GRID = 1 / 24
"""Mean squared distance to the nearest integer below which weights are assumed to come from a grid; it is
1 / 12 for others."""


def quantized_rows(weight: Floats, bits: int) -> tuple[npt.NDArray[np.int8], Floats]:
    """Round each row of float32 (n, k): int8 (n, k) and float32 (n,) with `ints * scale[:, None]`.

    A training that starts from integers moves most of them by less than half a step, so that rounding to the
    nearest integer would undo the training. Such weights are rounded up or down at random, in proportion
    (arXiv:1502.02551), from a fixed seed.
    """
    top = 2 ** (bits - 1) - 1
    scale = np.maximum(np.abs(weight).max(axis=1), 1e-12).astype(np.float32) / top
    steps = weight / scale[:, None]
    rounded = np.rint(steps)
    if np.square(steps - rounded).mean() < _ON_GRID:
        rounded = np.floor(steps + np.random.default_rng(0).random(steps.shape))
    return np.clip(rounded, -top, top).astype(np.int8), scale


def quantize(state: Mapping[str, Floats], bits: int) -> dict[str, Array]:
    """Turn the state of a network into the tensors of the weights file.

    A matrix of a layer becomes `<name>.weight` int8 (in, out), the order that integer kernels want,
    and `<name>.scale` float32 (out,); the word table `words.weight` int8 (vocabulary, hidden) and
    `words.scale` float32 (vocabulary, 1).
    """
    tensors: dict[str, Array] = {}
    for name, value in state.items():
        if name == "words.weight":
            ints, scale = quantized_rows(value, 8)  # looked up, never multiplied: cannot saturate
            tensors["words.weight"], tensors["words.scale"] = ints, scale[:, None]
        elif name.endswith(".weight") and name.split(".")[-2] in LINEAR:
            ints, scale = quantized_rows(value, bits)
            tensors[name] = np.ascontiguousarray(ints.T)
            tensors[name.replace(".weight", ".scale")] = scale
        else:
            tensors[name] = value
    return tensors
