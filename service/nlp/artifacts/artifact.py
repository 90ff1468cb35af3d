"""The model artifact: a folder whose manifest lists and hashes every file.

ml writes it, and the service rejects one that differs from its manifest. Imports no model library and
unpickles nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from service.errors import ArtifactError
from service.nlp.arrays import Floats
from service.nlp.artifacts.file_hashes import sha256_of
from service.nlp.artifacts.manifest import MANIFEST_FILE, Manifest
from service.nlp.json_file import read_json
from service.nlp.taxonomy import TAXONOMY_FILE, Taxonomy, built_in, read_taxonomy

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CONFIG_FILE = "config.json"
TOKENIZER_FILE = "tokenizer.json"
ONNX_FILE = "model.int8.onnx"
WEIGHTS_FILE = "weights.safetensors"
FLOAT_WEIGHTS_FILE = "weights.bf16.safetensors"
"""The weights before rounding to integers, matrices in bfloat16, the rest in float32; optional."""
EXIT_FILE = "exit.safetensors"
"""The heads of the exit in the middle of the network, float32; optional. Only the CPU graph reads them."""
GOLDEN_FILE = "golden.jsonl"
REQUIRED_FILES = (CONFIG_FILE, TOKENIZER_FILE, ONNX_FILE, WEIGHTS_FILE, GOLDEN_FILE)

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_REMEDY = "Fetch the folder again from version control, or point MODEL_DIR at another artifact."


@dataclass(frozen=True, slots=True, eq=False)
class GoldenRow:
    """A test sentence and the scores that the model must reproduce, float32 (n_risk_types,)."""

    text: str
    scores: Floats


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model folder that agrees with its manifest."""

    path: Path
    manifest: Manifest
    taxonomy: Taxonomy

    @property
    def float_weights(self) -> Path | None:
        """The file that engines with float arithmetic prefer over WEIGHTS_FILE, None if there is none."""
        listed = FLOAT_WEIGHTS_FILE in self.manifest.files
        return self.path / FLOAT_WEIGHTS_FILE if listed else None

    def golden(self) -> list[GoldenRow]:
        """Return the golden sentences with their scores.

        Raises:
            ArtifactError: a line is not of the form {"text": ..., "scores": {risk type: score}}.
        """
        try:
            with (self.path / GOLDEN_FILE).open(encoding="utf-8") as lines:
                rows = [json.loads(line) for line in lines]
            labels = self.manifest.labels
            return [
                GoldenRow(row["text"], np.array([row["scores"][r] for r in labels], np.float32))
                for row in rows
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{self.path / GOLDEN_FILE} cannot be read. {_REMEDY}") from error

    def tokenizer(self) -> Tokenizer:
        """Open the tokenizer without truncation and padding, since text is never cut."""
        from tokenizers import Tokenizer  # noqa: PLC0415 - slow to import, and verification does not need it

        tokenizer = Tokenizer.from_file(str(self.path / TOKENIZER_FILE))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


def load(path: Path, *, hash_file: Callable[[Path], str] = sha256_of) -> Artifact:
    """Verify the artifact in the folder `path`: manifest, labels, and the hash of every file.

    Raises:
        ArtifactError: something is missing or altered, or the labels are not those of the taxonomy.
    """
    if not (path / MANIFEST_FILE).is_file():
        raise ArtifactError(
            f"There is no model artifact in {path}: {MANIFEST_FILE} is missing. {_REMEDY}"
        )
    manifest = read_json(Manifest, path / MANIFEST_FILE, remedy=_REMEDY)
    _check_files(path, manifest, hash_file)
    taxonomy = built_in()
    if TAXONOMY_FILE in manifest.files:
        taxonomy = read_taxonomy(path / TAXONOMY_FILE, remedy=_REMEDY)
    _check_labels(path, manifest, taxonomy)
    return Artifact(path, manifest, taxonomy)


def check_golden(artifact: Artifact, scores: Floats) -> None:
    """Compare `scores`, float32 (n_golden, n_risk_types), with the artifact's golden scores.

    Raises:
        ArtifactError: a score differs by more than the tolerance, or crosses its threshold.
    """
    golden, manifest = artifact.golden(), artifact.manifest
    expected = np.array([row.scores for row in golden], np.float32).reshape(
        -1, len(manifest.labels)
    )
    if not golden:
        raise ArtifactError(
            f"{artifact.path} has no golden sentences. Run `.venv-test/bin/python -m ml calibrate` on it."
        )
    if scores.shape != expected.shape:
        raise ArtifactError(
            f"{artifact.path}: the golden scores have the shape {scores.shape} instead of {expected.shape}."
        )
    difference = np.abs(scores - expected)
    balanced = manifest.operating_points["balanced"]
    flipped = balanced.decide(scores) != balanced.decide(expected)
    failed = flipped | ~(difference <= manifest.golden_tolerance)  # NaN fails too
    if failed.any():
        worst = np.where(failed, np.nan_to_num(difference, nan=np.inf), -1.0).argmax()
        row, column = np.unravel_index(worst, failed.shape)
        raise ArtifactError(
            f"The model in {artifact.path} does not reproduce its golden scores on this machine: "
            f"{manifest.labels[column]} of golden sentence {row + 1} is {scores[row, column]:.4f} "
            f"instead of {expected[row, column]:.4f}. Export it again with "
            "`.venv-test/bin/python -m ml export`, or set DEVICE=cpu."
        )


def _check_labels(path: Path, manifest: Manifest, taxonomy: Taxonomy) -> None:
    if manifest.taxonomy_version == taxonomy.version and manifest.labels == taxonomy.risk_types:
        return
    source = f"its {TAXONOMY_FILE}" if TAXONOMY_FILE in manifest.files else "this service"
    raise ArtifactError(
        f"The model in {path} was trained for other risk types (taxonomy "
        f"{manifest.taxonomy_version}) than {source} has ({taxonomy.version}), or for another "
        "order. Export it again with `.venv-test/bin/python -m ml export`, or point MODEL_DIR "
        "elsewhere."
    )


def _check_files(path: Path, manifest: Manifest, hash_file: Callable[[Path], str]) -> None:
    for name in REQUIRED_FILES:
        if name not in manifest.files:
            raise ArtifactError(f"{path / MANIFEST_FILE}: files does not list {name}. {_REMEDY}")
    for name, sha256 in manifest.files.items():
        if not _PLAIN_NAME.fullmatch(name):
            raise ArtifactError(
                f"{path / MANIFEST_FILE}: {name!r} is not a plain file name. {_REMEDY}"
            )
        if not (path / name).is_file():
            raise ArtifactError(f"The model artifact in {path} lacks {name}. {_REMEDY}")
        if hash_file(path / name) != sha256:
            raise ArtifactError(
                f"{path / name} was altered: its hash differs from the manifest's. {_REMEDY}"
            )
