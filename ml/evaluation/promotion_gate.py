"""The promotion gate: decide whether a candidate may replace the serving model.

Pure: figures in, reasons against the candidate out. Every limit is relative to the serving model on the
same sentences: an absolute limit that the serving model misses would refuse its equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ml.evaluation.metrics import any_risk, by_category, calibration_error, resampled_category_f1
from ml.evaluation.paired_comparison import Difference, paired_bootstrap
from ml.evaluation.resampling import interval
from service.nlp.arrays import Bools, Floats
from service.nlp.artifacts.operating_points import risk_scores
from service.nlp.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the gate; F1, probabilities and calibration errors in [0, 1].

    The 95 % interval of the difference in mean F1 must lie above -`max_loss`; 0 requires a candidate that
    is significantly better. With `min_probability` the candidate must instead be better in at least this
    share of the resamples. The calibration error may be up to `max_calibration_error`, or up to
    `max_calibration_loss` above that of the serving model.
    """

    max_loss: float = 0.02
    min_probability: float | None = None
    max_category_loss: float = 0.03
    min_category_support: int = 20
    max_calibration_error: float = 0.05
    max_calibration_loss: float = 0.02


@dataclass(frozen=True, slots=True)
class Scored:
    """One model's scores and balanced decisions on n sentences, both (n, n_risk_types)."""

    scores: Floats
    hits: Bools


@dataclass(frozen=True, slots=True)
class CategoryFigures:
    """F1 of both models on one category, which `support` sentences state.

    `low` and `high` bound the 95 % interval of candidate minus serving.
    """

    support: int
    candidate_f1: float
    serving_f1: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The basis of the verdict; the differences are candidate minus serving."""

    n_sentences: int
    n_documents: int
    differences: Mapping[str, Difference]
    categories: Mapping[str, CategoryFigures]
    calibration_error: float
    serving_calibration_error: float

    def as_json(self) -> dict[str, Any]:
        """Return the figures as plain values, rounded to four decimals."""
        rounded: dict[str, Any] = _rounded(asdict(self))
        return rounded


def measure(
    candidate: Scored,
    serving: Scored,
    y: Floats,
    docs: Sequence[str],
    *,
    taxonomy: Taxonomy,
    seed: int = 0,
) -> Figures:
    """Return the figures of two models on the same n sentences.

    `y` is (n, n_risk_types), `docs` n names of documents. The bootstrap draws whole documents 2,000 times,
    from `seed`. The calibration errors are those of the risk score, the probability that a sentence
    states any risk.
    """
    return Figures(
        n_sentences=len(docs),
        n_documents=len(set(docs)),
        differences=paired_bootstrap(
            candidate.hits, serving.hits, y, docs, taxonomy=taxonomy, seed=seed
        ),
        categories=_by_category(
            candidate.hits, serving.hits, y, docs, taxonomy=taxonomy, seed=seed
        ),
        calibration_error=_calibration_error(candidate, y),
        serving_calibration_error=_calibration_error(serving, y),
    )


def refusals(figures: Figures, limits: Limits | None = None, *, taxonomy: Taxonomy) -> list[str]:
    """Return the reasons why the candidate may not serve, a sentence each; [] if it may."""
    limits = limits or Limits()
    reasons = [
        _worse_overall(figures.differences["mean_f1"], limits),
        *_worse_categories(figures, limits, taxonomy),
        _worse_calibrated(figures, limits),
    ]
    return [reason for reason in reasons if reason]


def _worse_overall(mean: Difference, limits: Limits) -> str:
    difference = (
        f"mean F1 of risk, category and type differs by {100 * mean.value:+.1f} points, "
        f"95 % interval [{100 * mean.low:+.1f}, {100 * mean.high:+.1f}]"
    )
    if limits.min_probability is not None:
        if mean.p_better >= limits.min_probability:
            return ""
        return (
            f"It is better with probability {mean.p_better:.2f}, not {limits.min_probability:g}: "
            f"{difference}."
        )
    if mean.low > -limits.max_loss:
        return ""
    if not limits.max_loss:
        return f"It is not significantly better: {difference}."
    return f"It may lose {100 * limits.max_loss:g} points or more: {difference}."


def _worse_categories(figures: Figures, limits: Limits, taxonomy: Taxonomy) -> list[str]:
    """Name each category that loses too much F1; only significant losses count."""
    return [
        f"It loses {100 * (c.serving_f1 - c.candidate_f1):.1f} points of F1 in "
        f"{taxonomy.category_titles[category]} ({c.support} sentences)."
        for category, c in figures.categories.items()
        if c.support >= limits.min_category_support
        and c.serving_f1 - c.candidate_f1 > limits.max_category_loss
        and c.high < 0
    ]


def _worse_calibrated(figures: Figures, limits: Limits) -> str:
    serving = figures.serving_calibration_error
    allowed = max(limits.max_calibration_error, serving + limits.max_calibration_loss)
    if figures.calibration_error <= allowed:
        return ""
    return (
        f"Its expected calibration error is {figures.calibration_error:.3f}, above {allowed:.3f}; "
        f"the serving model's is {serving:.3f} on the same sentences."
    )


def _by_category(
    candidate: Bools,
    serving: Bools,
    y: Floats,
    docs: Sequence[str],
    *,
    taxonomy: Taxonomy,
    seed: int,
) -> dict[str, CategoryFigures]:
    support = by_category(y > 0, taxonomy=taxonomy).sum(axis=0)
    ours, ours_drawn = resampled_category_f1(candidate, y, docs, taxonomy=taxonomy, seed=seed)
    theirs, theirs_drawn = resampled_category_f1(serving, y, docs, taxonomy=taxonomy, seed=seed)
    figures = {}
    for k, category in enumerate(taxonomy.category_keys):
        gap = interval(ours[k] - theirs[k], ours_drawn[:, k] - theirs_drawn[:, k])
        figures[category] = CategoryFigures(
            int(support[k]), float(ours[k]), float(theirs[k]), gap.low, gap.high
        )
    return figures


def _calibration_error(scored: Scored, y: Floats) -> float:
    states_risk = any_risk(y > 0).astype(np.float32)
    return calibration_error(risk_scores(scored.scores)[:, None], states_risk, least=0.0)


def _rounded(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value
