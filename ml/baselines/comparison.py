"""The model beside each baseline on the same dev sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ml.baselines.baselines import BASELINES, open_baseline
from ml.corpus.dataset import Dataset, Example
from ml.evaluation.evaluation import NESTED
from ml.evaluation.paired_comparison import paired_bootstrap
from ml.evaluation.predictions import Predictions
from ml.evaluation.scoring import judge
from ml.evaluation.summary import figures, nested_hits
from ml.settings import Settings
from service.nlp.analyzers.base import SentenceScorer


def baseline_figures(
    settings: Settings, dataset: Dataset, model: Predictions
) -> dict[str, dict[str, Any]]:
    """Return the figures of each baseline on the dev sentences, and the lead of `model` over it."""
    return {
        name: _baseline(open_baseline(name, settings, dataset=dataset), dataset.dev, model)
        for name in BASELINES
    }


def _baseline(
    analyzer: SentenceScorer, dev: Sequence[Example], model: Predictions
) -> dict[str, Any]:
    """Return the figures that a comparison needs, and the model's lead over the baseline."""
    judged = judge(analyzer, dev)
    nested = nested_hits(judged, dev)
    found = figures(judged, dev, nested)
    decisive = nested[0] if nested else next(iter(judged.hits.values()))
    lead = paired_bootstrap(model.hits_at(NESTED), decisive, model.y, model.docs)
    kept = ("sensitivities", "nested", "ranking", "calibration")
    return {**{key: found[key] for key in kept}, "difference": asdict(lead["mean_f1"])}
