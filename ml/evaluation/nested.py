"""Nested evaluation: each document's calibration is fitted on other documents.

A calibration measured on the sentences that it was fitted on would look too good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml.corpus.dataset import Example, targets
from ml.evaluation.calibration import calibrate
from service.nlp.arrays import Bools, Floats
from service.nlp.artifacts.manifest import probabilities
from service.nlp.artifacts.operating_points import SENSITIVITIES, Sensitivity
from service.nlp.taxonomy import Taxonomy

N_FOLDS = 5
NESTED_SEEDS = range(5)
"""Random splits of the documents into folds; the choice of a single split moves F1 by about a point."""
_LEAST = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class NestedRun:
    """Scores and decisions of n sentences under one split of the documents: (n, n_risk_types) each."""

    scores: Floats
    hits: Mapping[Sensitivity, Bools]


def nested_runs(
    scores: Floats | None, examples: Sequence[Example], *, taxonomy: Taxonomy
) -> list[NestedRun]:
    """Return a run for each of NESTED_SEEDS; each file of the examples is a set of its own.

    Empty without scores, since an analyzer that gives no probabilities has no thresholds, and for a single
    document, since there are no others to fit them on.
    """
    y, docs = targets(examples, taxonomy), [e.doc for e in examples]
    if scores is None or len(set(docs)) == 1:
        return []
    sets = [e.file for e in examples]
    return [cross_fit(scores, y, docs, sets, taxonomy=taxonomy, seed=seed) for seed in NESTED_SEEDS]


def cross_fit(
    scores: Floats,
    y: Floats,
    docs: Sequence[str],
    sets: Sequence[str] = (),
    *,
    taxonomy: Taxonomy,
    seed: int = 0,
) -> NestedRun:
    """Fit temperature, bias and points on four fifths of the documents, and apply them to the rest.

    `scores` are calibrated already; undoing that only changes which temperature and bias are found.
    """
    fold, names = folds(docs, seed), np.asarray(sets)
    p = np.clip(scores.astype(np.float64), _LEAST, 1 - 1e-7)
    logits = (np.log(p) - np.log1p(-p)).astype(np.float32)
    refitted = np.zeros_like(logits)
    hits = {s: np.zeros(scores.shape, dtype=np.bool_) for s in SENSITIVITIES}
    for held_out in (fold == k for k in np.unique(fold)):
        others = names[~held_out].tolist() if len(names) else []
        fitted = calibrate(logits[~held_out], y[~held_out], others, taxonomy=taxonomy)
        part = probabilities(logits[held_out], temperature=fitted.temperature, bias=fitted.bias)
        refitted[held_out] = part
        for s in SENSITIVITIES:
            hits[s][held_out] = fitted.points[s].decide(part)
    return NestedRun(refitted, hits)


def folds(docs: Sequence[str], seed: int) -> npt.NDArray[np.intp]:
    """Return the fold of each sentence, (n,) in 0 to N_FOLDS - 1; a document is in one fold."""
    names, index = np.unique(np.asarray(docs), return_inverse=True)
    return np.asarray(np.random.default_rng(seed).permutation(len(names))[index] % N_FOLDS)
