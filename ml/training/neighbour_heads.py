"""Fit the neighbour heads: two linear maps from a sentence's pooled vector to its influence on neighbours.

neighbour_context.py in the service sums the influences. They are learned from real documents, which state
risks at the real rate; composed ones state more. They are fitted on top of cross-fitted logits
(cross_fitting.py): for a sentence that it has memorised a network needs no hint from the neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - the name the field knows it by

from ml.corpus.dataset import Example
from ml.corpus.reading_order import by_document, sentence_numbers
from service.nlp.arrays import Floats
from service.nlp.inference.neighbour_context import RADIUS

_RIDGE = 3e-4
_REFIT_RIDGE = 1e-6
"""Ridge on the change of refitted weights, for each sentence; the vectors have length 1."""
_RISK_WEIGHT = 3.0
"""Weight of the likelihood of risk. Calibration takes 1 (ml/evaluation/calibration.py), not tried here."""
_MAX_ITERATIONS = 60


def fit(
    pooled: Floats, logits: Floats, y: Floats, examples: Sequence[Example]
) -> dict[str, Floats]:
    """Return `influence.weight`, float32 (2 * n_risk_types, hidden), and `influence.bias`.

    `pooled` is float32 (n, hidden), the vector of each example; `logits` its cross-fitted logits and `y`
    its labels, both (n, n_risk_types). The vectors are centred, so that average neighbours, or none, do not
    change a sentence's logits.
    """
    unit = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
    mean = unit.mean(axis=0)
    maps = _fitted_maps(surroundings(unit - mean, examples), logits, y)
    hidden = unit.shape[1]
    weight = np.concatenate([maps[:hidden].T, maps[hidden:].T])
    return {"influence.weight": weight, "influence.bias": -weight @ mean}


def refitted(before: Floats, now: Floats, heads: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return heads that give for the vectors `now` what `heads` gave for `before`, (n, hidden) each.

    Training moves the vectors; refitting keeps the influence that was learned from the old ones. In
    directions that no sentence has, the weights stay.
    """
    weight, bias = (heads[f"influence.{name}"].astype(np.float64) for name in ("weight", "bias"))
    unit, old = (
        v / np.linalg.norm(v, axis=1, keepdims=True)
        for v in (now.astype(np.float64), before.astype(np.float64))
    )
    missing = (old - unit) @ weight.T
    mean, gap = unit.mean(axis=0), missing.mean(axis=0)
    x = unit - mean
    ridge = _REFIT_RIDGE * len(x) * np.eye(x.shape[1])
    change = np.linalg.solve(x.T @ x + ridge, x.T @ (missing - gap)).T
    return {
        "influence.weight": (weight + change).astype(np.float32),
        "influence.bias": (bias + gap - change @ mean).astype(np.float32),
    }


def surroundings(vectors: Floats, examples: Sequence[Example]) -> Floats:
    """Return float32 (n, 2 * hidden): the preceding sentence's vector, and the mean of those within RADIUS.

    Zeros if there is none. Sentences are neighbours only if their numbers in the document are close.
    """
    before, near = np.zeros_like(vectors), np.zeros_like(vectors)
    for rows in by_document(examples):
        row_at = dict(zip(sentence_numbers(rows, examples), rows, strict=True))
        for place, row in row_at.items():
            if place - 1 in row_at:
                before[row] = vectors[row_at[place - 1]]
            span = range(place - RADIUS, place + RADIUS + 1)
            around = [row_at[p] for p in span if p != place and p in row_at]
            if around:
                near[row] = vectors[around].mean(axis=0)
    return np.hstack([before, near])


def _fitted_maps(x: Floats, logits: Floats, y: Floats) -> Floats:
    """Return the maps of least negative log likelihood with a ridge, float32 (2 * hidden, n_risk_types).

    Scale and bias of the logits are fitted too, but dropped: calibration fits them later.
    """
    inputs, offset, true = (torch.from_numpy(np.ascontiguousarray(a)) for a in (x, logits, y))
    maps = torch.zeros(x.shape[1], y.shape[1], requires_grad=True)
    scale = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [maps, scale], max_iter=_MAX_ITERATIONS, line_search_fn="strong_wolfe"
    )
    is_risk = true.any(dim=1)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        z = (offset + inputs @ maps) * torch.exp(scale[0]) + scale[1]
        softplus = F.softplus(z)
        none = (-softplus.sum(dim=1)).clamp(max=-1e-6)  # log probability that no type is stated
        type_nll = (softplus - true * z).sum(dim=1).mean()
        risk_nll = -torch.where(is_risk, torch.log(-torch.expm1(none)), none).mean()
        total = type_nll + _RISK_WEIGHT * risk_nll + _RIDGE * maps.square().sum()
        total.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return maps.detach().numpy()
