"""The model artifact: a folder whose manifest names, hashes and calibrates what serves.

The contract between ml, which writes it, and the service, which refuses one that differs. Imports no
model library; nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from service.errors import ArtifactError
from service.nlp import taxonomy
from service.nlp.arrays import Floats
from service.nlp.artifacts.operating_points import SENSITIVITIES, OperatingPoint, Sensitivity
from service.nlp.taxonomy import RISK_TYPES

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MANIFEST_VERSION = 3
_WITHOUT_BIAS = 2
"""The version before, still read: its bias was 0."""
MANIFEST_FILE = "manifest.json"
CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
ONNX_FILE = "model.int8.onnx"
WEIGHTS_FILE = "weights.safetensors"
GOLDEN_FILE = "golden.jsonl"
REQUIRED_FILES = (CONFIG_FILE, TOKENIZER_FILE, ONNX_FILE, WEIGHTS_FILE, GOLDEN_FILE)

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_REMEDY = "Fetch the folder again from version control, or point MODEL_DIR at another artifact."

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """What manifest.json says.

    `bias` is added to the logits and `temperature` divides the sum, before the sigmoid;
    `operating_points` turn the scores into findings, one for each sensitivity; `golden_tolerance` is the
    largest accepted difference of a score.
    """

    name: str
    version: str
    labels: tuple[str, ...]
    operating_points: Mapping[Sensitivity, OperatingPoint]
    temperature: float
    bias: float
    max_length_tokens: int
    golden_tolerance: float
    taxonomy_version: int
    base_model: Mapping[str, Any]
    segmenter: Mapping[str, Any]
    dataset_fingerprint: str
    metrics: Mapping[str, Any]
    created_at: str
    code_commit: str
    files: Mapping[str, str]

    def probabilities(self, logits: Floats) -> Floats:
        """Return calibrated scores in [0, 1] for logits of any shape, as float32."""
        return probabilities(logits, temperature=self.temperature, bias=self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class GoldenRow:
    """A sentence and the scores, float32 (n_risk_types,), that the model must give it."""

    text: str
    scores: Floats


@dataclass(frozen=True, slots=True)
class Artifact:
    """A folder that has been verified against its manifest."""

    path: Path
    manifest: Manifest

    def golden(self) -> list[GoldenRow]:
        """Return the proof sentences with their scores.

        Raises:
            ArtifactError: a line is not of the form {"text": ..., "scores": {risk type: score}}.
        """
        lines = (self.path / GOLDEN_FILE).read_text(encoding="utf-8").splitlines()
        try:
            rows = [json.loads(line) for line in lines]
            return [
                GoldenRow(row["text"], np.array([row["scores"][r] for r in RISK_TYPES], np.float32))
                for row in rows
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{self.path / GOLDEN_FILE} cannot be read. {_REMEDY}") from error

    def tokenizer(self) -> Tokenizer:
        """Open the tokenizer, with neither truncation nor padding: text is never cut."""
        from tokenizers import Tokenizer  # noqa: PLC0415 - heavy, and not needed to verify

        tokenizer = Tokenizer.from_file(str(self.path / TOKENIZER_FILE))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


def probabilities(logits: Floats, *, temperature: float, bias: float) -> Floats:
    """Return the sigmoid of (logits + bias) / temperature, float32 in [0, 1], of any shape.

    Source: Platt, Probabilistic Outputs for Support Vector Machines (1999), with one line for all types.
    """
    scaled = (logits.astype(np.float64) + bias) / temperature
    # the sigmoid, free of overflow
    return (0.5 * (1.0 + np.tanh(0.5 * scaled))).astype(np.float32)


def load(path: Path) -> Artifact:
    """Verify the artifact in the folder `path`: its manifest, the hash of every file, its labels.

    Raises:
        ArtifactError: the folder, a file or a field is missing, altered, or made for other labels.
    """
    if not (path / MANIFEST_FILE).is_file():
        raise ArtifactError(
            f"There is no model artifact in {path}: {MANIFEST_FILE} is missing. {_REMEDY}"
        )
    manifest = _parse(path / MANIFEST_FILE)
    _check_labels(path, manifest)
    _check_files(path, manifest)
    return Artifact(path, manifest)


def check_golden(artifact: Artifact, scores: Floats) -> None:
    """Compare `scores`, float32 (n_golden, n_risk_types), with the artifact's golden scores.

    Raises:
        ArtifactError: a score differs by more than the tolerance, or crosses its threshold.
    """
    golden, manifest = artifact.golden(), artifact.manifest
    expected = np.array([row.scores for row in golden], np.float32).reshape(-1, len(RISK_TYPES))
    if not golden:
        raise ArtifactError(
            f"{artifact.path} has no golden sentences: run `.venv-test/bin/python -m ml calibrate` on it."
        )
    if scores.shape != expected.shape:
        raise ArtifactError(
            f"{artifact.path}: golden scores of shape {scores.shape}, not {expected.shape}."
        )
    difference = np.abs(scores - expected)
    balanced = manifest.operating_points["balanced"]
    decided_otherwise = balanced.decide(scores) != balanced.decide(expected)
    failed = decided_otherwise | ~(difference <= manifest.golden_tolerance)  # NaN fails too
    if failed.any():
        row, column = np.argwhere(failed)[0]
        raise ArtifactError(
            f"The model in {artifact.path} does not reproduce its golden scores on this machine: "
            f"{RISK_TYPES[column]} of golden sentence {row + 1} is {scores[row, column]:.4f} "
            f"instead of {expected[row, column]:.4f}. Export it again with "
            "`.venv-test/bin/python -m ml export`, or set DEVICE=cpu."
        )


def _parse(path: Path) -> Manifest:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtifactError(f"{path} is no JSON. {_REMEDY}") from error
    known = (_WITHOUT_BIAS, MANIFEST_VERSION)
    if not isinstance(raw, dict) or raw.get("manifest_version") not in known:
        raise ArtifactError(f"{path} is no manifest of version {MANIFEST_VERSION}. {_REMEDY}")
    if raw["manifest_version"] == _WITHOUT_BIAS:
        raw["bias"] = 0.0
    fields = _Fields(path, raw)
    manifest = Manifest(
        name=fields.get("name", str),
        version=fields.get("version", str),
        labels=tuple(fields.get("labels", list)),
        operating_points=fields.operating_points(),
        temperature=fields.positive("temperature"),
        bias=fields.finite("bias"),
        max_length_tokens=fields.get("max_length_tokens", int),
        golden_tolerance=fields.positive("golden_tolerance"),
        taxonomy_version=fields.get("taxonomy_version", int),
        base_model=fields.get("base_model", dict),
        segmenter=fields.get("segmenter", dict),
        dataset_fingerprint=fields.get("dataset_fingerprint", str),
        metrics=fields.get("metrics", dict),
        created_at=fields.get("created_at", str),
        code_commit=fields.get("code_commit", str),
        files=fields.get("files", dict),
    )
    if not 8 <= manifest.max_length_tokens <= 512:
        raise fields.fault("max_length_tokens", "lies outside 8 to 512")
    return manifest


@dataclass(frozen=True, slots=True)
class _Fields:
    """Typed access to the manifest's fields; a fault names the file and the field."""

    path: Path
    raw: Mapping[str, Any]

    def fault(self, name: str, message: str) -> ArtifactError:
        return ArtifactError(f"{self.path}: {name} {message}. {_REMEDY}")

    def get(self, name: str, kind: type[T]) -> T:
        value = self.raw.get(name)
        if not isinstance(value, kind):
            raise self.fault(name, f"is missing or no {kind.__name__}")
        return value

    def positive(self, name: str) -> float:
        value = self.raw.get(name)
        if not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise self.fault(name, "is no number above zero")
        return float(value)

    def finite(self, name: str) -> float:
        value = self.raw.get(name)
        if not isinstance(value, int | float) or not abs(value) < float("inf"):
            raise self.fault(name, "is missing or no finite number")
        return float(value)

    def operating_points(self) -> dict[Sensitivity, OperatingPoint]:
        raw = self.get("operating_points", dict)
        return {name: self._operating_point(name, raw.get(name)) for name in SENSITIVITIES}

    def _operating_point(self, name: str, raw: object) -> OperatingPoint:
        given = raw if isinstance(raw, dict) else {}
        thresholds = given.get("thresholds")
        by_type = thresholds if isinstance(thresholds, dict) else {}
        found = [given.get("risk_threshold"), *(by_type.get(r) for r in RISK_TYPES)]
        values = [float(v) for v in found if isinstance(v, int | float) and 0 < v < 1]
        if len(values) != len(found):
            raise self.fault(
                f"operating_points.{name}", "lacks a risk type or leaves (0, 1) somewhere"
            )
        return OperatingPoint(values[0], np.array(values[1:], np.float32))


def _check_labels(path: Path, manifest: Manifest) -> None:
    if manifest.taxonomy_version != taxonomy.VERSION or manifest.labels != RISK_TYPES:
        raise ArtifactError(
            f"The model in {path} was trained for other risk types (taxonomy "
            f"{manifest.taxonomy_version}) than this service knows ({taxonomy.VERSION}), or for another "
            "order of them. Export it again with `.venv-test/bin/python -m ml export`, or point MODEL_DIR "
            "elsewhere."
        )


def _check_files(path: Path, manifest: Manifest) -> None:
    for name in REQUIRED_FILES:
        if name not in manifest.files:
            raise ArtifactError(f"{path / MANIFEST_FILE}: files does not list {name}. {_REMEDY}")
    for name, sha256 in manifest.files.items():
        if not _PLAIN_NAME.fullmatch(name):
            raise ArtifactError(
                f"{path / MANIFEST_FILE}: {name!r} is no plain file name. {_REMEDY}"
            )
        if not (path / name).is_file():
            raise ArtifactError(f"The model artifact in {path} lacks {name}. {_REMEDY}")
        if _sha256(path / name) != sha256:
            raise ArtifactError(
                f"{path / name} was altered: its hash is not the manifest's. {_REMEDY}"
            )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
