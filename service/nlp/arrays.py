"""Type aliases for numpy arrays, and the blocks in which the rows of a large array are processed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float32]
"""Calibrated probabilities in [0, 1], (n_sentences, n_risk_types)."""
Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]
"""Row numbers of another array."""
NO_ROWS: Rows = np.empty(0, np.intp)
Offsets = npt.NDArray[np.int64]
"""Character offsets of spans: int64 (n_spans, 2), half-open."""

ROWS = 4_096
"""Rows of a block. In double precision, all rows of a book would take hundreds of megabytes."""


def row_blocks(n: int) -> Iterator[slice]:
    """Yield slices that cover `n` rows in order, each of at most ROWS rows."""
    for begin in range(0, n, ROWS):
        yield slice(begin, min(begin + ROWS, n))
