"""A sequence of spans, stored as an array: a million spans would take 150 MB as objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, overload

import numpy as np

from service.nlp.arrays import Offsets

T = TypeVar("T")
_READ_ROWS = 4_096


class SpanSequence(Sequence[T]):
    """An immutable sequence of spans in 16 bytes each; every access creates the value again."""

    __hash__ = None  # type: ignore[assignment]  # unhashable, as lists are

    def __init__(self, offsets: Offsets, make: Callable[[int, int], T]) -> None:
        """`offsets` is int64 (n, 2), half-open; `make(start, end)` returns the value of a span."""
        self.offsets = offsets
        self._make = make

    def __len__(self) -> int:
        return len(self.offsets)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> SpanSequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | SpanSequence[T]:
        if isinstance(at, slice):
            return SpanSequence(self.offsets[at], self._make)
        start, end = self.offsets[at].tolist()
        return self._make(start, end)

    def __iter__(self) -> Iterator[T]:
        for begin in range(0, len(self.offsets), _READ_ROWS):
            for start, end in self.offsets[begin : begin + _READ_ROWS].tolist():
                yield self._make(start, end)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return NotImplemented
        return all(ours == theirs for ours, theirs in zip(self, other, strict=True))

    def __repr__(self) -> str:
        return f"SpanSequence({list(self)!r})"


def offset_array(spans: Sequence[T]) -> Offsets:
    """Return the offsets of values that have `start` and `end`, int64 (n, 2)."""
    if isinstance(spans, SpanSequence):
        return spans.offsets
    flat = [offset for span in spans for offset in (span.start, span.end)]  # type: ignore[attr-defined]
    return np.array(flat, np.int64).reshape(-1, 2)
