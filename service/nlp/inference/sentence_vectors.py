"""Vectors of sentences for search: near each other if the sentences mean the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from service.config.cpus import all_cpus
from service.nlp.arrays import Floats
from service.nlp.inference.engine import Engine
from service.nlp.inference.requests import pad
from service.nlp.inference.tokenization import Windower


def sentence_vectors(engine: Engine, windower: Windower, sentences: Sequence[str]) -> Floats:
    """Return float32 (len(sentences), engine.vector_size), each row of length 1.

    The vector of a sentence longer than the model's window is that of the mean over its windows.
    """
    rows = [
        (row, ids) for row, windows in enumerate(windower.windows(sentences)) for ids in windows
    ]
    sums = np.zeros((len(sentences), engine.vector_size), np.float32)
    for batch in _batches(sorted(rows, key=lambda item: len(item[1])), engine.limits.tokens):
        ids, mask = pad([window for _, window in batch])
        with all_cpus():
            vectors = engine.vectors(ids, mask)
        np.add.at(sums, [row for row, _ in batch], vectors)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    normalized: Floats = sums / np.maximum(lengths, np.float32(1e-9))
    return normalized


def _batches(
    rows: list[tuple[int, list[int]]], max_tokens: int
) -> Iterator[list[tuple[int, list[int]]]]:
    """Yield rows of similar length, shortest first, with at most `max_tokens` tokens or a single row."""
    batch: list[tuple[int, list[int]]] = []
    for row in rows:
        if batch and (len(batch) + 1) * len(row[1]) > max_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
