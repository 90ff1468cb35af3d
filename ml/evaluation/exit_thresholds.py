"""Choose where sentences leave the network early, and measure what that costs on other documents.

The threshold is the highest whose expected loss of recall is small enough. That loss is a sum of risk scores
over thousands of sentences, which need no labels. A threshold at the k-th lowest of some 400 labelled risks
hangs on single sentences instead: for the same weights, rounded or not, it let 34 or 54 % of the sentences
leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.corpus.dataset import Example, targets
from ml.corpus.reading_order import logits_in_documents
from service.nlp.arrays import Bools, Floats
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.operating_points import SENSITIVITIES, Sensitivity, risk_scores

MAX_LOSS_POINTS = 0.5
"""Most recall that leaving may cost at an operating point, on documents that chose no threshold."""
_AIMS_POINTS = (0.4, 0.3, 0.2, 0.1)
"""Expected losses on the choosing documents, tried in this order."""


@dataclass(frozen=True, slots=True, eq=False)
class ExitData:
    """Sentences, their outputs (n, n_outputs) with and without leaving, and their exit scores (n,)."""

    artifact: Artifact
    examples: Sequence[Example]
    outputs: Floats
    if_left: Floats
    scores: Floats

    def probabilities(self, leaves: Bools | None = None) -> Floats:
        """Return (n, n_risk_types): the scores in documents if the sentences in `leaves` (n,) leave."""
        manifest, outputs = self.artifact.manifest, self.outputs
        if leaves is not None:
            outputs = np.where(leaves[:, None], self.if_left, outputs)
        logits = logits_in_documents(outputs, self.examples, len(manifest.labels))
        return manifest.probabilities(logits)

    def found(self, sensitivity: Sensitivity, leaves: Bools | None = None) -> Bools:
        """Return (n,): whether each sentence has a finding if those in `leaves` leave."""
        point = self.artifact.manifest.operating_points[sensitivity]
        return np.asarray(point.decide(self.probabilities(leaves)).any(axis=1))


def choose(choosing: ExitData, dev: ExitData) -> dict[str, Any]:
    """Return the manifest's `early_exit`: thresholds chosen on `choosing`, and what they cost on `dev`.

    The labels of `choosing` are not used. A sensitivity is left out if each threshold costs too much.
    """
    is_risk = np.asarray(targets(dev.examples, dev.artifact.taxonomy).any(axis=1))
    leave_below, measured = {}, {}
    for sensitivity in SENSITIVITIES:
        findable = dev.found(sensitivity) & is_risk
        for aim in _AIMS_POINTS if findable.any() else ():
            threshold = _threshold(choosing, sensitivity, aim)
            leaves = dev.scores < threshold
            n_lost = findable.sum() - (dev.found(sensitivity, leaves) & is_risk).sum()
            lost = float(100 * n_lost / is_risk.sum())
            if lost <= MAX_LOSS_POINTS:
                leave_below[sensitivity] = threshold
                measured[sensitivity] = _figures(dev, leaves, lost)
                break
    return {"leave_below": leave_below, "measured": measured}


def _threshold(data: ExitData, sensitivity: Sensitivity, aim: float) -> float:
    """Return the highest exit score below which the expected loss of recall is at most `aim` points.

    The risk scores of the findings that leave, over those of all sentences, is that loss.
    """
    risk = risk_scores(data.probabilities())
    order = np.argsort(data.scores, kind="stable")
    lost = np.cumsum((risk * data.found(sensitivity))[order], dtype=np.float64)
    n_leave = np.searchsorted(lost, aim / 100 * risk.sum(dtype=np.float64), side="right")
    return float(data.scores[order[min(n_leave, len(order) - 1)]])


def _figures(dev: ExitData, leaves: Bools, lost: float) -> dict[str, Any]:
    files = np.array([e.file for e in dev.examples])
    shares = {str(name): round(float(leaves[files == name].mean()), 4) for name in np.unique(files)}
    return {"recall_lost_points": round(lost, 2), "leave": shares}
