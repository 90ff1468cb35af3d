"""May a candidate take the place of the model that serves? Figures in, reasons against it out.

Pure: reads no file, opens no model, and gives the same verdict for the same decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ml.compare import Difference, paired_bootstrap
from ml.metrics import any_risk, by_category, calibration_error, count, f1
from service.nlp.operating_point import risk_scores
from service.nlp.taxonomy import CATEGORIES, CATEGORY_TITLES

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gate asks for; F1 and probabilities in [0, 1].

    Without `min_probability` the whole 95 % interval of the difference lies above 0; with it, the
    candidate is better in at least this share of the resamples.
    """

    min_probability: float | None = None
    max_category_loss: float = 0.03
    min_category_support: int = 20
    max_calibration_error: float = 0.05


@dataclass(frozen=True, slots=True)
class CategoryFigures:
    """F1 of both models on one category; `support` sentences state it."""

    support: int
    candidate_f1: float
    serving_f1: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What the verdict rests on: the differences are candidate minus serving."""

    n_sentences: int
    n_documents: int
    differences: Mapping[str, Difference]
    categories: Mapping[str, CategoryFigures]
    calibration_error: float

    def as_json(self) -> dict[str, Any]:
        """Return the figures as plain values, rounded to four decimals."""
        rounded: dict[str, Any] = _rounded(asdict(self))
        return rounded


def measure(
    candidate: Bools,
    serving: Bools,
    candidate_scores: Floats,
    y: Floats,
    docs: Sequence[str],
    *,
    seed: int = 0,
) -> Figures:
    """Return the figures of two models' decisions on the same n sentences.

    `candidate`, `serving`, `candidate_scores` and `y` are (n, n_risk_types), `docs` n names of
    documents. The bootstrap draws whole documents 2,000 times, from `seed`. The calibration error is
    that of the risk score: over all sentences, does each state any risk.
    """
    return Figures(
        n_sentences=len(docs),
        n_documents=len(set(docs)),
        differences=paired_bootstrap(candidate, serving, y, docs, seed=seed),
        categories=_by_category(candidate, serving, y),
        calibration_error=calibration_error(
            risk_scores(candidate_scores)[:, None], any_risk(y > 0).astype(np.float32), least=0.0
        ),
    )


def refusals(figures: Figures, limits: Limits | None = None) -> list[str]:
    """Return why the candidate may not serve, a sentence each; [] when it may."""
    limits = limits or Limits()
    found = [
        _not_better(figures.differences["mean_f1"], limits),
        *_worse_categories(figures, limits),
    ]
    if figures.calibration_error > limits.max_calibration_error:
        found.append(
            f"Its expected calibration error is {figures.calibration_error:.3f}, above "
            f"{limits.max_calibration_error:g}."
        )
    return [reason for reason in found if reason]


def _not_better(mean: Difference, limits: Limits) -> str:
    told = (
        f"mean F1 of risk, category and type differs by {100 * mean.value:+.1f} points, "
        f"95 % interval [{100 * mean.low:+.1f}, {100 * mean.high:+.1f}]"
    )
    if limits.min_probability is None:
        return "" if mean.low > 0 else f"It is not surely better: {told}."
    if mean.p_better >= limits.min_probability:
        return ""
    return f"It is better with probability {mean.p_better:.2f}, not {limits.min_probability:g}: {told}."


def _worse_categories(figures: Figures, limits: Limits) -> list[str]:
    return [
        f"It loses {100 * (c.serving_f1 - c.candidate_f1):.1f} points of F1 in "
        f"{CATEGORY_TITLES[category]} ({c.support} sentences)."
        for category, c in figures.categories.items()
        if c.support >= limits.min_category_support
        and c.serving_f1 - c.candidate_f1 > limits.max_category_loss
    ]


def _by_category(candidate: Bools, serving: Bools, y: Floats) -> dict[str, CategoryFigures]:
    true = by_category(y > 0)
    ours, theirs = (f1(count(by_category(hits), true).sum(axis=0)) for hits in (candidate, serving))
    support = true.sum(axis=0)
    return {
        category: CategoryFigures(int(support[k]), float(ours[k]), float(theirs[k]))
        for k, category in enumerate(CATEGORIES)
    }


def _rounded(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value
