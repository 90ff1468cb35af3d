"""Rebuild an artifact's CPU graph as a new version with the same weights."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

from ml.artifact.manifest_writer import code_commit, manifest_fields, write_manifest
from ml.artifact.network import write_graph
from ml.corpus.dataset import Example, targets
from ml.corpus.reading_order import score_documents
from ml.evaluation import quantization_loss
from ml.evaluation.metrics import LEVELS
from ml.evaluation.resampling import Measure
from service.errors import ConfigError
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.arrays import Floats
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.inference.network_config import read_network_config

_MODEL_CARD = "README.md"


def rebuild(old: Path, version: str, examples: Sequence[Example]) -> Artifact:
    """Write the artifact in the folder `old` as `version` beside it, with the graph of this code.

    Manifest and model card keep the figures of the old version, and state how much F1 differs.

    Raises:
        ArtifactError: `old` is not an artifact, or either graph misses the golden scores.
        ConfigError: this version exists already, or cannot be the name of a folder.
        FidelityError: the new graph decides significantly differently on the examples.
    """
    source = artifacts.load(old)
    folder = old.parent / version
    if folder.parent != old.parent or folder.name != version or folder.exists():
        raise ConfigError(
            f"{version!r} is not a new version: {folder} exists already, or is not beside {old}."
        )
    with tempfile.TemporaryDirectory(prefix=".rebuilding-", dir=old.parent) as scratch:
        copy = Path(scratch) / "artifact"
        copytree(old, copy)
        write_graph(read_network_config(copy / artifacts.CONFIG_FILE), copy)
        fields = manifest_fields(copy) | {
            "version": version,
            "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "code_commit": code_commit(),
        }
        write_manifest(copy, fields)
        points = differences(copy, source, examples)
        _check(points, source)
        rounded = {key: round(m.value, 2) for key, m in points.items()}
        fields["metrics"] = fields["metrics"] | {
            "regraphed": {"from": source.manifest.version, "f1_differs_points": rounded}
        }
        _describe_rebuild(copy / _MODEL_CARD, source, version, points, examples)
        write_manifest(copy, fields)
        copy.rename(folder)
    return artifacts.load(folder)


def differences(new: Path, source: Artifact, examples: Sequence[Example]) -> dict[str, Measure]:
    """Return F1 of the artifact in `new` minus that of `source`, see quantization_loss.differences.

    Raises:
        ArtifactError: one of them misses its golden scores.
    """
    decide = source.manifest.operating_points["balanced"].decide
    ours, theirs = (_scores(folder, examples) for folder in (new, source.path))
    docs, taxonomy = [e.doc for e in examples], source.taxonomy
    return quantization_loss.differences(
        ours, theirs, targets(examples, taxonomy), docs, decide, taxonomy=taxonomy
    )


def _scores(folder: Path, examples: Sequence[Example]) -> Floats:
    analyzer = LocalAnalyzer.open(folder, device="cpu", n_threads=1)
    try:
        return score_documents(analyzer, examples)
    finally:
        analyzer.close()


def _check(points: Mapping[str, Measure], source: Artifact) -> None:
    if quantization_loss.decides_otherwise(points):
        raise quantization_loss.FidelityError(
            "Nothing was written: the graph of ml/artifact/onnx_graph.py decides significantly differently "
            f"from that of {source.path}, by {_levels(points)}. Correct ml/artifact/onnx_graph.py."
        )


def _levels(points: Mapping[str, Measure]) -> str:
    risk, category, of_type = (points[f"{level}_f1"].value for level in LEVELS)
    return (
        f"{risk:+.2f} points of F1 (risk or no risk), {category:+.2f} (category) "
        f"and {of_type:+.2f} (type)"
    )


def _describe_rebuild(
    card: Path,
    source: Artifact,
    version: str,
    points: Mapping[str, Measure],
    examples: Sequence[Example],
) -> None:
    """Describe the new version in the model card, below its title."""
    name, before = source.manifest.name, source.manifest.version
    n_documents = len({e.doc for e in examples})
    description = (
        f"{version} is {before} with another graph for the CPU: the same weights, calibration and golden\n"
        f"sentences. On {len(examples):,} sentences of {n_documents} documents it differs from {before} by\n"
        f"{_levels(points)},\n"
        f"the mean over thresholds around the operating point. The figures below are those of {before}."
    )
    _, _, rest = card.read_text(encoding="utf-8").partition("\n")
    card.write_text(f"# {name} {version}\n\n{description}\n{rest}", encoding="utf-8")
