"""Rows by the block: in double precision a whole book's would take hundreds of megabytes at once."""

from __future__ import annotations

from collections.abc import Iterator

ROWS = 4_096


def row_blocks(n: int) -> Iterator[slice]:
    """Yield the slices that part `n` rows, in order, each of ROWS at most."""
    for begin in range(0, n, ROWS):
        yield slice(begin, min(begin + ROWS, n))
