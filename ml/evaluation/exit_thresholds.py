"""Choose where sentences leave the network early, and measure what that costs on other documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.corpus.dataset import Example, targets
from ml.corpus.reading_order import logits_in_documents
from ml.evaluation.nested import NESTED_SEEDS, folds
from service.nlp.arrays import Bools, Floats
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.operating_points import SENSITIVITIES, Sensitivity

MAX_LOSS_POINTS = 0.5
"""Most recall that leaving may cost at an operating point, on documents that chose no threshold."""
_AIMS_POINTS = (0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
"""Losses on the choosing documents, tried in this order."""


@dataclass(frozen=True, slots=True, eq=False)
class ExitData:
    """The dev sentences, their outputs (n, n_outputs) with and without leaving, their exit scores (n,)."""

    artifact: Artifact
    examples: Sequence[Example]
    outputs: Floats
    if_left: Floats
    scores: Floats

    def found(self, leaves: Bools, sensitivity: Sensitivity) -> Bools:
        """Return (n,): whether each sentence has a finding if those in `leaves` leave."""
        manifest = self.artifact.manifest
        outputs = np.where(leaves[:, None], self.if_left, self.outputs)
        logits = logits_in_documents(outputs, self.examples, len(manifest.labels))
        point = manifest.operating_points[sensitivity]
        return np.asarray(point.decide(manifest.probabilities(logits)).any(axis=1))


def choose(data: ExitData) -> dict[str, Any]:
    """Return the manifest's `early_exit`: the highest thresholds that keep the recall of each point.

    A sensitivity is left out if no threshold keeps it.
    """
    is_risk = np.asarray(targets(data.examples, data.artifact.taxonomy).any(axis=1))
    leave_below, measured = {}, {}
    for sensitivity in SENSITIVITIES:
        findable = data.found(np.zeros(len(is_risk), np.bool_), sensitivity) & is_risk
        for aim in _AIMS_POINTS if findable.any() else ():
            threshold = _threshold(data.scores, findable, int(is_risk.sum()), aim)
            runs = [_cross_fit(data, findable, is_risk, aim, seed) for seed in NESTED_SEEDS]
            found = np.mean([(data.found(run, sensitivity) & is_risk).sum() for run in runs])
            lost = float(100 * (findable.sum() - found) / is_risk.sum())
            if lost <= MAX_LOSS_POINTS:
                leave_below[sensitivity] = threshold
                measured[sensitivity] = _figures(data, np.array(runs, np.bool_), lost)
                break
    return {"leave_below": leave_below, "measured": measured}


def _threshold(scores: Floats, findable: Bools, n_risks: int, aim: float) -> float:
    """Return the exit score below which `aim` points of the risks are findable; -inf if none is."""
    lowest = np.sort(scores[findable])
    return float(lowest[min(int(aim / 100 * n_risks), len(lowest) - 1)]) if len(lowest) else -np.inf


def _cross_fit(data: ExitData, findable: Bools, is_risk: Bools, aim: float, seed: int) -> Bools:
    """Return (n,): which sentences leave, by thresholds from the documents of other folds."""
    fold = folds([e.doc for e in data.examples], seed)
    leaves = np.zeros(len(fold), np.bool_)
    for held_out in (fold == k for k in np.unique(fold)):
        n_risks = int(is_risk[~held_out].sum())
        threshold = _threshold(data.scores[~held_out], findable[~held_out], n_risks, aim)
        leaves[held_out] = data.scores[held_out] < threshold
    return leaves


def _figures(data: ExitData, runs: Bools, lost: float) -> dict[str, Any]:
    files = np.array([e.file for e in data.examples])
    shares = {
        str(name): round(float(runs[:, files == name].mean()), 4) for name in np.unique(files)
    }
    return {"recall_lost_points": round(lost, 2), "leave": shares}
