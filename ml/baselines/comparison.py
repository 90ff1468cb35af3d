"""Compare the model with each baseline on the same dev sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ml.baselines.keywords import has_rules
from ml.baselines.open_baseline import BASELINES, open_baseline
from ml.corpus.dataset import Dataset, Example
from ml.evaluation.evaluation import NESTED
from ml.evaluation.nested import nested_runs
from ml.evaluation.paired_comparison import paired_bootstrap
from ml.evaluation.predictions import Predictions
from ml.evaluation.scoring import analyze_examples
from ml.evaluation.summary import figures
from ml.settings import Settings
from service.nlp.analyzers.base import SentenceScorer


def baseline_figures(
    settings: Settings, dataset: Dataset, model: Predictions
) -> dict[str, dict[str, Any]]:
    """Return the figures of each baseline on the dev sentences, and the lead of `model` over it.

    Keyword rules exist only for the built-in risk types.
    """
    return {
        name: _baseline(open_baseline(name, settings, dataset=dataset), dataset.dev, model)
        for name in BASELINES
        if name != "keywords" or has_rules(dataset.taxonomy)
    }


def _baseline(
    analyzer: SentenceScorer, dev: Sequence[Example], model: Predictions
) -> dict[str, Any]:
    """Return the figures that a comparison needs, and the model's lead over the baseline."""
    results = analyze_examples(analyzer, dev)
    nested = nested_runs(results.scores, dev, taxonomy=results.taxonomy)
    measured = figures(results, dev, nested)
    decided = nested[0].hits["balanced"] if nested else next(iter(results.hits.values()))
    lead = paired_bootstrap(
        model.hits_at(NESTED), decided, model.y, model.docs, taxonomy=model.taxonomy
    )
    keys = ("sensitivities", "nested", "ranking", "calibration")
    return {**{key: measured[key] for key in keys}, "difference": asdict(lead["mean_f1"])}
