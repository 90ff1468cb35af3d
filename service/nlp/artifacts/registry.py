"""The model registry: folders <name>/<version>/ with a manifest.json in REGISTRY_DIR, and gate records.

Reads and verifies folders; knows neither a database nor which model serves. Imports no model library.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from service.errors import ArtifactError, NotFound
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import MANIFEST_FILE, Artifact, Manifest

MAX_MODEL_CHARS = 191  # the width of the database's columns
_MODEL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)/([A-Za-z0-9][A-Za-z0-9._-]*)")


@dataclass(frozen=True, slots=True)
class GateRecord:
    """What `python -m ml register` decided on a model: the verdict, against which model, and the figures.

    `manifest_sha256` ties the record to the content that was measured. It stands beside the model's
    folder, not in it, because every file in there is hashed.
    """

    model: str
    manifest_sha256: str
    against: str
    passed: bool
    reasons: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    data_fingerprint: str = ""
    created_at: str = ""
    forced: bool = False
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the registry; one that cannot be verified has a fault in place of a manifest."""

    model: str
    folder: Path
    manifest: Manifest | None = None
    manifest_sha256: str | None = None
    gate: GateRecord | None = None
    fault: str | None = None


class Registry:
    """The models in `registry_dir`, and the one in `default_dir`, which may be elsewhere."""

    def __init__(self, registry_dir: Path, default_dir: Path) -> None:
        self._registry_dir = registry_dir
        self._default_dir = default_dir

    def default_model(self) -> str:
        """Return the name/version of the model in the default folder.

        Raises:
            ArtifactError: there is none.
        """
        return model_in(self._default_dir)

    def folder_of(self, model: str) -> Path:
        """Return the folder of the model `name/version`.

        Raises:
            NotFound: it is not in the registry.
        """
        matched = _MODEL.fullmatch(model)
        if matched and len(model) <= MAX_MODEL_CHARS:
            folder = self._registry_dir / matched[1] / matched[2]
            if (folder / MANIFEST_FILE).is_file():
                return folder
            if model == self._default_or_none():
                return self._default_dir
        raise NotFound(
            f"There is no model {model[:MAX_MODEL_CHARS]} in REGISTRY_DIR; "
            "`python -m service models list` shows those that are."
        )

    def verified(self, model: str) -> Artifact:
        """Return the artifact of `name/version` once every hash in it has been checked.

        Raises:
            NotFound: it is not in the registry.
            ArtifactError: it is altered, incomplete, or another model than its folder says.
        """
        folder = self.folder_of(model)
        artifact = artifacts.load(folder)
        found = f"{artifact.manifest.name}/{artifact.manifest.version}"
        if found != model:
            raise ArtifactError(
                f"{folder} holds {found}, not {model}; register it again with "
                "`.venv-test/bin/python -m ml register`."
            )
        return artifact

    def entry(self, model: str) -> Entry:
        """Return what is known of `name/version`, a fault instead of an error."""
        try:
            artifact = self.verified(model)
        except NotFound as error:
            return Entry(model, self._registry_dir / model, fault=error.message)
        except ArtifactError as error:
            return Entry(model, self.folder_of(model), fault=error.message)
        try:
            gate, fault = self.gate_record(model), None
        except ArtifactError as error:
            gate, fault = None, error.message
        sha256 = manifest_sha256(artifact.path)
        return Entry(model, artifact.path, artifact.manifest, sha256, gate, fault)

    def models(self) -> list[str]:
        """Return every `name/version` in the registry, sorted, verified or not."""
        found = set(self._folders())
        if default := self._default_or_none():
            found.add(default)
        return sorted(found)

    def gate_record(self, model: str) -> GateRecord | None:
        """Return the gate record beside a model's folder, None where there is none.

        Raises:
            ArtifactError: there is one that cannot be read.
        """
        path = gate_path(self._registry_dir, model)
        return read_gate(path) if path.is_file() else None

    def _folders(self) -> Iterator[str]:
        for manifest in self._registry_dir.glob(f"*/*/{MANIFEST_FILE}"):
            model = "/".join(manifest.parts[-3:-1])
            if _MODEL.fullmatch(model) and len(model) <= MAX_MODEL_CHARS:
                yield model

    def _default_or_none(self) -> str | None:
        try:
            return self.default_model()
        except ArtifactError:
            return None


def model_in(folder: Path) -> str:
    """Return the `name/version` that the manifest in `folder` claims, without checking any hash.

    Raises:
        ArtifactError: there is no manifest, or it names no model that a folder can be called after.
    """
    path = folder / MANIFEST_FILE
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        model = f"{fields['name']}/{fields['version']}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"There is no model artifact in {folder}: {MANIFEST_FILE} is missing or unreadable. "
            "Export it again with `.venv-test/bin/python -m ml export`."
        ) from error
    if not _MODEL.fullmatch(model) or len(model) > MAX_MODEL_CHARS:
        raise ArtifactError(
            f"{path} names the model {model[:MAX_MODEL_CHARS]!r}; name and version are made of letters, "
            f"digits, dots, dashes and underscores, {MAX_MODEL_CHARS} in all."
        )
    return model


def manifest_sha256(folder: Path) -> str:
    """Return the sha256 (hex) of the manifest, and with it of every file that it hashes."""
    return hashlib.sha256((folder / MANIFEST_FILE).read_bytes()).hexdigest()


def gate_path(registry_dir: Path, model: str) -> Path:
    """Return where the gate record of `name/version` lies."""
    return registry_dir / f"{model}.gate.json"


def read_gate(path: Path) -> GateRecord:
    """Return the record in a file.

    Raises:
        ArtifactError: it is no gate record.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        record = GateRecord(**{**raw, "reasons": tuple(raw["reasons"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(
            f"{path} cannot be read; make it again with `.venv-test/bin/python -m ml register`."
        ) from error
    if record.passed is not True and record.passed is not False:
        raise ArtifactError(f"{path}: passed is neither true nor false.")
    return record


def write_gate(path: Path, record: GateRecord) -> None:
    """Write a record in one step: a reader finds the old one, or the new one whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(asdict(record), indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
