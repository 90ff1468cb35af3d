"""Measures the memory that Python's objects take in this process, with all its threads."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class TracedMemory:
    """`peak_bytes` is known after the block."""

    peak_bytes: int = 0


@contextmanager
def traced() -> Iterator[TracedMemory]:
    """Measure the memory that is taken in the block."""
    memory = TracedMemory()
    tracemalloc.start()
    try:
        yield memory
        memory.peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
