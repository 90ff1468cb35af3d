"""`python -m ml calibrate`: fit the exported artifact's temperature, bias and operating points."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ml.artifact.golden_sentences import write_golden_file
from ml.artifact.manifest_writer import load_export, manifest_fields, write_manifest
from ml.artifact.outputs import sentence_outputs
from ml.commands import command
from ml.corpus.dataset import Dataset, load_dataset, targets
from ml.corpus.reading_order import logits_in_documents
from ml.evaluation import drift_reference
from ml.evaluation.calibration import calibrate as fit_calibration
from ml.evaluation.calibration import calibration_in
from ml.settings import Settings, load
from ml.versions import resolve
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.arrays import Floats
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.drift_index import REFERENCE_FILE
from service.nlp.inference.onnx_engine import OnnxEngine


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
def calibrate(config: Path) -> None:
    """Fit the exported artifact's temperature, bias and operating points on the dev sentences.

    Training never saw these. All files of [data] dev count: temperature, bias and the point balanced are
    fitted on them together; the points recall and precision promise their target on each. Also writes the
    golden sentences and reference.json, against which drift is measured.
    """
    run(load(config))


def run(settings: Settings) -> None:
    """Calibrate the exported artifact, then write its golden sentences and drift reference.

    Raises:
        ArtifactError: an artifact was altered, or the one in `calibration_of` is missing.
        ConfigError: nothing was exported, or too few golden sentences are clear of the thresholds.
    """
    settings = resolve(settings)
    artifact = load_export(settings.artifact_dir)
    dataset = load_dataset(settings.data)
    labels = dataset.taxonomy.risk_types
    if artifact.taxonomy != dataset.taxonomy:
        raise ConfigError(
            f"The taxonomy of [data] has changed since {artifact.path} was exported; "
            f"run `{command('ml', 'export', 'CONFIG')}` again."
        )
    engine = OnnxEngine(artifact, n_threads=settings.train.n_threads)
    outputs = sentence_outputs(artifact, engine, [e.text for e in dataset.dev])
    logits = logits_in_documents(outputs, dataset.dev, len(labels))
    source = settings.artifact.calibration_of
    if source:
        fitted = calibration_in(ROOT / source, labels=labels)
    else:
        y, sets = targets(dataset.dev, dataset.taxonomy), [e.file for e in dataset.dev]
        fitted = fit_calibration(logits, y, sets, taxonomy=dataset.taxonomy)
    fields = manifest_fields(artifact.path) | fitted.fields(labels)
    fields.pop("early_exit", None)  # chosen for the points that were
    write_manifest(artifact.path, fields)
    calibrated = artifacts.load(artifact.path)
    write_golden_file(calibrated, engine)
    _write_reference(calibrated, logits, dataset)
    write_manifest(artifact.path, manifest_fields(artifact.path))
    scale = f"temperature {fitted.temperature:.3f}, bias {fitted.bias:.3f}"
    thresholds = ", ".join(f"{name} {p.risk_threshold:.3f}" for name, p in fitted.points.items())
    print(f"{artifact.path}: {scale}; risk thresholds {thresholds}")


def _write_reference(artifact: Artifact, logits: Floats, dataset: Dataset) -> None:
    """Write reference.json, against which drift is measured, from the logits of the dev sentences."""
    scores = artifact.manifest.probabilities(logits)
    histograms = drift_reference.reference(
        dataset.dev,
        scores,
        artifact.manifest.operating_points["balanced"].decide(scores),
        taxonomy=dataset.taxonomy,
        tokenizer=artifact.tokenizer(),
        learned=[e.text for e in dataset.train],
    )
    path = artifact.path / REFERENCE_FILE
    path.write_text(json.dumps(histograms) + "\n", encoding="utf-8")
