"""Compare two evaluations of the same sentences: which is better, and is the difference significant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ml.evaluation.metrics import resampled_f1
from ml.evaluation.predictions import Predictions
from ml.evaluation.resampling import interval
from service.nlp.arrays import Bools, Floats
from service.nlp.taxonomy import Taxonomy

CONFIDENT = 0.95
"""Share of the resamples in which one must be ahead to be called better."""

_TITLES = {
    "risk_f1": "risk or no risk, F1",
    "category_f1": "category, micro-F1",
    "category_macro_f1": "category, macro-F1",
    "type_f1": "risk type, micro-F1",
    "mean_f1": "mean of the three micro-F1",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """F1 of a minus F1 of b, in [-1, 1], with its 95 % interval over resampled documents.

    `p_better` in [0, 1] is the share of the resamples in which a is ahead; a tie counts half.
    """

    value: float
    low: float
    high: float
    p_better: float


def paired_bootstrap(
    hits_a: Bools,
    hits_b: Bools,
    y: Floats,
    docs: Sequence[str],
    *,
    taxonomy: Taxonomy,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare two analyzers' decisions on the same sentences: a minus b.

    `hits_a`, `hits_b` and `y` are (n, n_risk_types), `docs` n names of documents. Both are measured on
    the same resampled documents (2,000 times), so that a document's difficulty cancels out. Keys: risk_f1,
    category_f1, category_macro_f1, type_f1 and mean_f1, the mean of the micro-F1 of risk, category and type.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, section 8.3 (whole documents drawn).
    """
    whole_a, drawn_a = resampled_f1(hits_a, y, docs, taxonomy=taxonomy, seed=seed)
    whole_b, drawn_b = resampled_f1(hits_b, y, docs, taxonomy=taxonomy, seed=seed)
    differences = {}
    for key in _TITLES:
        gaps = drawn_a[key] - drawn_b[key]
        measure = interval(whole_a[key] - whole_b[key], gaps)
        p_better = float((gaps > 0).mean() + 0.5 * (gaps == 0).mean())
        differences[key] = Difference(measure.value, measure.low, measure.high, p_better)
    return differences


def compare(a: Predictions, b: Predictions, *, sensitivity: str) -> dict[str, Difference]:
    """Return paired_bootstrap of two stored evaluations.

    Raises:
        PredictionsError: they are over different sentences, labels or documents, or one has no
            decisions at this sensitivity.
    """
    a.check_same_data(b)
    hits_a, hits_b = a.hits_at(sensitivity), b.hits_at(sensitivity)
    return paired_bootstrap(hits_a, hits_b, a.y, a.docs, taxonomy=a.taxonomy)


def table(differences: Mapping[str, Difference]) -> str:
    """Return the differences as a Markdown table, in points of 100."""
    lines = ["| a - b, points | difference | 95 % interval | a is better |", "|---|---|---|---|"]
    lines += [
        f"| {_TITLES[key]} | {100 * d.value:+.1f} | [{100 * d.low:+.1f}, {100 * d.high:+.1f}] "
        f"| {100 * d.p_better:.1f} % |"
        for key, d in differences.items()
    ]
    return "\n".join(lines)


def verdict(d: Difference, name_a: str, name_b: str) -> str:
    """Return one sentence: which is better by the difference `d` of mean_f1, or that neither is."""
    if d.p_better >= CONFIDENT or d.p_better <= 1 - CONFIDENT:
        better, worse = (name_a, name_b) if d.p_better > 0.5 else (name_b, name_a)
        share = max(d.p_better, 1 - d.p_better)
        return (
            f"{better} is better than {worse}: ahead by {100 * abs(d.value):.1f} points of mean F1, "
            f"and in {100 * share:.1f} % of the resamples."
        )
    return (
        f"{name_a} and {name_b} cannot be told apart on these sentences: {100 * d.value:+.1f} points "
        f"of mean F1, 95 % interval [{100 * d.low:+.1f}, {100 * d.high:+.1f}]."
    )
