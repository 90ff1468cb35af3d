"""Round the trained weights to integers: one file of weights that both engines read.

Symmetric, one scale per output channel of a matrix and per row of the word table; norms, biases,
positions and head stay float32. With 7 bits (-63 to 63) no CPU can saturate: the AVX2 kernels of
processors without VNNI add two products of an unsigned and a signed byte in 16 bits, and
2 * 255 * 63 still fits. With 8 bits such a processor gives other scores than the one that exported.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Floats = npt.NDArray[np.float32]

LINEAR = ("qkv", "attention_out", "ffn_in", "ffn_out")


def quantized_rows(weight: Floats, bits: int) -> tuple[npt.NDArray[np.int8], Floats]:
    """Round each row of float32 (n, k): int8 (n, k) and float32 (n,) with `ints * scale[:, None]`."""
    top = 2 ** (bits - 1) - 1
    scale = np.maximum(np.abs(weight).max(axis=1), 1e-12).astype(np.float32) / top
    return np.rint(weight / scale[:, None]).astype(np.int8), scale


def quantize(state: Mapping[str, Floats], bits: int) -> dict[str, Array]:
    """Turn the state of a RiskEncoder into the tensors of the weights file.

    A matrix of a layer becomes `<name>.weight` int8 (in, out), the order that integer kernels want,
    and `<name>.scale` float32 (out,); the word table `words.weight` int8 (vocabulary, hidden) and
    `words.scale` float32 (vocabulary, 1).
    """
    tensors: dict[str, Array] = {}
    for name, value in state.items():
        if name == "words.weight":
            ints, scale = quantized_rows(value, 8)  # looked up, never multiplied: saturates nowhere
            tensors["words.weight"], tensors["words.scale"] = ints, scale[:, None]
        elif name.endswith(".weight") and name.split(".")[-2] in LINEAR:
            ints, scale = quantized_rows(value, bits)
            tensors[name] = np.ascontiguousarray(ints.T)
            tensors[name.replace(".weight", ".scale")] = scale
        else:
            tensors[name] = value
    return tensors
