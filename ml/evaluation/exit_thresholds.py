"""Choose where sentences leave the network early, and measure what that costs on other documents.

The threshold is the highest whose expected loss of recall is small enough. That loss is a sum of risk scores
over thousands of sentences, which need no labels. A threshold at the k-th lowest of some 400 labelled risks
hangs on single sentences instead: for the same weights, rounded or not, it let 34 or 51 % of the sentences
leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml.corpus.dataset import Example, targets
from ml.corpus.reading_order import logits_in_documents
from service.nlp.arrays import Bools, Doubles, Floats
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.operating_points import SENSITIVITIES, Sensitivity, risk_scores

MAX_LOSS_POINTS = 0.5
"""Most recall that leaving may cost on the dev sentences at an operating point."""
_AIMS_POINTS = (0.4, 0.3, 0.2, 0.1)
"""Expected losses on the choosing documents, tried in this order until dev sentences lose little enough."""


@dataclass(frozen=True, slots=True, eq=False)
class ExitData:
    """Sentences, their outputs (n, n_outputs) with and without leaving, and their exit scores (n,)."""

    artifact: Artifact
    examples: Sequence[Example]
    outputs: Floats
    if_left: Floats
    scores: Floats

    def probabilities(self, leaves: Bools | None = None) -> Floats:
        """Return calibrated scores in documents, float32 (n, n_risk_types), if `leaves` (n,) leave."""
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

    `leave_below` has an exit score for each sensitivity; `measured` the points of recall that are lost, and
    the share of each file that leaves. The labels of `choosing` are not used. A sensitivity is left out if
    each threshold costs too much, or if `choosing` has too few findings to bound the loss.
    """
    is_risk = np.asarray(targets(dev.examples, dev.artifact.taxonomy).any(axis=1))
    leave_below, measured = {}, {}
    for sensitivity in SENSITIVITIES:
        findable = dev.found(sensitivity) & is_risk
        scores, expected = _expected_loss(choosing, sensitivity)
        for aim in _AIMS_POINTS if findable.any() else ():
            n_leave = int(np.searchsorted(expected, aim, side="right"))
            if n_leave == len(scores):
                continue
            threshold = float(scores[n_leave])
            leaves = dev.scores < threshold
            n_lost = findable.sum() - (dev.found(sensitivity, leaves) & is_risk).sum()
            lost = float(100 * n_lost / is_risk.sum())
            if lost <= MAX_LOSS_POINTS:
                leave_below[sensitivity] = threshold
                measured[sensitivity] = _figures(dev, leaves, lost)
                break
    return {"leave_below": leave_below, "measured": measured}


def _expected_loss(data: ExitData, sensitivity: Sensitivity) -> tuple[Floats, Doubles]:
    """Return the exit scores in ascending order, (n,), and the points of recall lost up to each, (n,).

    That loss is the sum of the risk scores of the findings that leave, over the sum of all risk scores.
    """
    risk = risk_scores(data.probabilities()).astype(np.float64)
    order = np.argsort(data.scores, kind="stable")
    lost = np.cumsum((risk * data.found(sensitivity))[order])
    return data.scores[order], 100 * lost / risk.sum()


def _figures(dev: ExitData, leaves: Bools, lost: float) -> dict[str, Any]:
    files = np.array([e.file for e in dev.examples])
    shares = {str(name): round(float(leaves[files == name].mean()), 4) for name in np.unique(files)}
    return {"recall_lost_points": round(lost, 2), "leave": shares}
