"""Buckets of relative positions, as MPNet and T5 count them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_MAX_DISTANCE = 128


def buckets(distances: npt.NDArray[np.int64], n_buckets: int) -> npt.NDArray[np.int64]:
    """Return the bucket of each distance, key minus query: int64 in [0, n_buckets), same shape.

    Half of the buckets are for keys after the query. Half of each half hold one distance each; the others
    grow by a constant factor up to 128, and the last one holds all longer distances.

    Source: T5 (arXiv:1910.10683), relative_attention_bidirectional; MPNetEncoder of transformers.
    """
    half = n_buckets // 2
    exact = half // 2
    distance = np.abs(distances)
    ratio = np.maximum(distance, exact).astype(np.float32) / np.float32(exact)
    share = np.log(ratio) / np.float32(np.log(_MAX_DISTANCE / exact))
    large = np.minimum(exact + (share * np.float32(half - exact)).astype(np.int64), half - 1)
    return np.where(distances > 0, half, 0) + np.where(distance < exact, distance, large)
