"""Bootstrap over whole documents, since the sentences of one document resemble each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.nlp.arrays import Doubles

N_RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Measure:
    """A value and its 95 % interval over resampled documents."""

    value: float
    low: float
    high: float


def interval(value: float | np.floating | Doubles, resampled: Doubles) -> Measure:
    """Return `value` with the 2.5th and 97.5th percentile of `resampled`, (n_resamples,)."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Measure(float(value), float(low), float(high))


def document_index(docs: Sequence[str]) -> npt.NDArray[np.intp]:
    """Return (n,): the index of each sentence's document, from 0, in sorted order of names."""
    return np.unique(np.asarray(docs), return_inverse=True)[1]


def resampled_documents(docs: Sequence[str], *, seed: int = 0) -> Doubles:
    """Return (N_RESAMPLES, n_documents): how often each document was drawn, with replacement."""
    n = len(set(docs))
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), N_RESAMPLES)
    return drawn.astype(np.float64)


def sum_by_document(counts: Doubles, docs: Sequence[str]) -> Doubles:
    """Sum (n, ...) over the sentences of each document: (n_documents, ...)."""
    index = document_index(docs)
    summed = np.zeros((int(index.max(initial=-1)) + 1, *counts.shape[1:]))
    np.add.at(summed, index, counts)
    return summed
