"""Fit what a sentence says of its neighbours: two linear maps of its pooled vector.

neighbour_context.py adds it up. Learned from the sentences of real documents, which have neighbours and
state risks as often as real documents do; those that were composed state more. What is added is learned
beside cross-fitted logits (cross_fitting.py): of a sentence that it knows by heart a network needs no hint
from its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - the name the field knows it by

from ml.corpus.dataset import Example
from ml.corpus.reading_order import by_document, places_in
from service.nlp.arrays import Floats
from service.nlp.inference.neighbour_context import RADIUS

_RIDGE = 3e-4
_RISK_WEIGHT = 3.0
"""Of the likelihood of risk or no risk, as in ml/evaluation/calibration.py."""
_MAX_ITERATIONS = 60


def fit(
    pooled: Floats, logits: Floats, y: Floats, examples: Sequence[Example]
) -> dict[str, Floats]:
    """Return `influence.weight`, float32 (2 * n_risk_types, hidden), and `influence.bias`.

    `pooled` is float32 (n, hidden), the vector of each example; `logits` its cross-fitted logits and `y`
    its labels, both (n, n_risk_types). The vectors are centred, so that neighbours which say nothing in
    particular, or none, leave a sentence its own logits.
    """
    unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    maps = _minimised(surroundings(unit - mean, examples), logits, y)
    hidden = unit.shape[1]
    weight = np.concatenate([maps[:hidden].T, maps[hidden:].T])
    return {"influence.weight": weight, "influence.bias": -weight @ mean}


def surroundings(vectors: Floats, examples: Sequence[Example]) -> Floats:
    """Return float32 (n, 2 * hidden): the vector of the sentence before, and the mean of those near.

    Zeros where there is none. A sentence whose number is not the next one is not a neighbour.
    """
    before, near = np.zeros_like(vectors), np.zeros_like(vectors)
    for rows in by_document(examples):
        row_at = dict(zip(places_in(rows, examples), rows, strict=True))
        for place, row in row_at.items():
            if place - 1 in row_at:
                before[row] = vectors[row_at[place - 1]]
            span = range(place - RADIUS, place + RADIUS + 1)
            around = [row_at[p] for p in span if p != place and p in row_at]
            if around:
                near[row] = vectors[around].mean(axis=0)
    return np.hstack([before, near])


def _minimised(x: Floats, logits: Floats, y: Floats) -> Floats:
    """Return float32 (2 * hidden, n_risk_types), of least negative log likelihood with a ridge.

    Scale and bias of the logits are fitted along and dropped: they are the calibration's.
    """
    given, offset, true = (torch.from_numpy(np.ascontiguousarray(a)) for a in (x, logits, y))
    maps = torch.zeros(x.shape[1], y.shape[1], requires_grad=True)
    scale = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [maps, scale], max_iter=_MAX_ITERATIONS, line_search_fn="strong_wolfe"
    )
    is_risk = true.any(dim=1)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        z = (offset + given @ maps) * torch.exp(scale[0]) + scale[1]
        softplus = F.softplus(z)
        none = (-softplus.sum(dim=1)).clamp(max=-1e-6)  # log probability that no type is stated
        of_types = (softplus - true * z).sum(dim=1).mean()
        of_risk = -torch.where(is_risk, torch.log(-torch.expm1(none)), none).mean()
        total = of_types + _RISK_WEIGHT * of_risk + _RIDGE * maps.square().sum()
        total.backward()  # type: ignore[no-untyped-call]  # torch leaves it without a type
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return maps.detach().numpy()
