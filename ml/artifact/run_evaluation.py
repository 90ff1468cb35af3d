"""Measure a run's exported artifact on its dev sentences, and the cost of rounding its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ml.artifact.manifest_writer import load_export
from ml.artifact.rounding import rounding_loss
from ml.corpus.dataset import Example
from ml.evaluation.evaluation import evaluate
from ml.evaluation.plain import measure_frozen_sets
from ml.evaluation.predictions import Predictions
from ml.settings import Settings
from service.nlp.analyzers.local import LocalAnalyzer


def evaluate_run(settings: Settings, dev: Sequence[Example]) -> tuple[dict[str, Any], Predictions]:
    """Measure the run's artifact on its dev sentences, and the cost of rounding its weights.

    `float32_difference_points`, value and interval, is None without the run's weights.

    Raises:
        ConfigError: nothing was exported.
        ArtifactError: the artifact misses its golden scores.
    """
    n_threads = settings.train.n_threads
    artifact = load_export(settings.artifact_dir)
    analyzer = LocalAnalyzer.open(artifact.path, device="cpu", n_threads=n_threads)
    try:
        evaluation, predictions = evaluate(analyzer, dev)
        evaluation["plain"] = measure_frozen_sets(analyzer)
        points = rounding_loss(settings, analyzer, dev)
    finally:
        analyzer.close()
    evaluation["float32_difference_points"] = points and {k: asdict(m) for k, m in points.items()}
    return evaluation, predictions
