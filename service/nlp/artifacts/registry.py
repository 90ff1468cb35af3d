"""The model registry: the folders <name>/<version>/ in REGISTRY_DIR, and their gate records.

It reads and verifies folders. It does not know which model serves. Imports no model library.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from service.errors import ArtifactError, NotFound
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.file_hashes import FileHashes, sha256_of
from service.nlp.artifacts.manifest import MANIFEST_FILE, Manifest
from service.nlp.json_file import read_json

MAX_MODEL_CHARS = 191
"""Width of the database's columns."""
_MODEL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)/([A-Za-z0-9][A-Za-z0-9._-]*)")


class GateRecord(BaseModel):
    """The result of `python -m ml register`: the verdict, the model that it compared with, and the figures.

    `manifest_sha256` ties the record to the measured content. The record is beside the model's
    folder, because the manifest hashes every file inside.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    manifest_sha256: str
    against: str
    passed: StrictBool
    reasons: tuple[str, ...] = ()
    figures: Mapping[str, Any] = Field(default_factory=dict)
    data_fingerprint: str = ""
    created_at: str = ""
    forced: bool = False
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One model of the registry; an invalid one has a fault instead of a manifest."""

    model: str
    folder: Path
    manifest: Manifest | None = None
    manifest_sha256: str | None = None
    gate: GateRecord | None = None
    fault: str | None = None


class Registry:
    """The models in `registry_dir`, the default model in `default_dir`, and the `shipped` folders."""

    def __init__(
        self, registry_dir: Path, default_dir: Path, *, shipped: Iterable[Path] = ()
    ) -> None:
        self._registry_dir = registry_dir
        self._default_dir = default_dir
        self._shipped = tuple(shipped)
        self._hashes = FileHashes()

    def default_model(self) -> str:
        """Return the name/version of the model in the default folder.

        Raises:
            ArtifactError: the folder contains no model.
        """
        return model_in(self._default_dir)

    def folder(self, model: str) -> Path:
        """Return the folder of the model `name/version`.

        Raises:
            NotFound: the model is not in the registry.
        """
        match = _MODEL.fullmatch(model)
        if match and len(model) <= MAX_MODEL_CHARS:
            folder = self._registry_dir / match[1] / match[2]
            if (folder / MANIFEST_FILE).is_file():
                return folder
            if outside := self._outside().get(model):
                return outside
        raise NotFound(
            f"There is no model {model[:MAX_MODEL_CHARS]} in REGISTRY_DIR; "
            "`python -m service models list` shows the models in it."
        )

    def verified(self, model: str) -> Artifact:
        """Verify every hash of the model `name/version` and return its artifact.

        Raises:
            NotFound: the model is not in the registry.
            ArtifactError: the model is altered or incomplete, or its folder has another model's name.
        """
        return self._verified(model, sha256_of)

    def entry(self, model: str) -> Entry:
        """Return the entry of `name/version`, with a fault where `verified` would raise.

        A file that did not change since the last call is not hashed again.
        """
        try:
            artifact = self._verified(model, self._hashes.sha256_of)
        except NotFound as error:
            return Entry(model, self._registry_dir / model, fault=error.message)
        except ArtifactError as error:
            return Entry(model, self.folder(model), fault=error.message)
        try:
            gate, fault = self.gate_record(model), None
        except ArtifactError as error:
            gate, fault = None, error.message
        sha256 = manifest_sha256(artifact.path)
        return Entry(model, artifact.path, artifact.manifest, sha256, gate, fault)

    def models(self) -> list[str]:
        """Return every `name/version` in the registry, sorted and not verified."""
        return sorted({*self._folders(), *self._outside()})

    def gate_record(self, model: str) -> GateRecord | None:
        """Return the gate record of a model, or None if it has none.

        Raises:
            ArtifactError: the record is invalid.
        """
        path = gate_path(self._registry_dir, model)
        return read_gate(path) if path.is_file() else None

    def _verified(self, model: str, hash_file: Callable[[Path], str]) -> Artifact:
        folder = self.folder(model)
        artifact = artifacts.load(folder, hash_file=hash_file)
        actual = f"{artifact.manifest.name}/{artifact.manifest.version}"
        if actual != model:
            raise ArtifactError(
                f"{folder} contains {actual}, not {model}; register it again with "
                "`.venv-test/bin/python -m ml register`."
            )
        return artifact

    def _folders(self) -> Iterator[str]:
        for manifest in self._registry_dir.glob(f"*/*/{MANIFEST_FILE}"):
            model = "/".join(manifest.parts[-3:-1])
            if _MODEL.fullmatch(model) and len(model) <= MAX_MODEL_CHARS:
                yield model

    def _outside(self) -> dict[str, Path]:
        """Return the folders of default and shipped models by their name/version; the default model wins."""
        folders: dict[str, Path] = {}
        for folder in (self._default_dir, *self._shipped):
            with suppress(ArtifactError):
                folders.setdefault(model_in(folder), folder)
        return folders


def model_in(folder: Path) -> str:
    """Return the `name/version` in the manifest of `folder`, without verifying any hash.

    Raises:
        ArtifactError: the manifest is missing, or its name or version is not valid as a folder name.
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
            f"{path} names the model {model[:MAX_MODEL_CHARS]!r}; name and version may contain letters, "
            f"digits, dots, dashes and underscores, at most {MAX_MODEL_CHARS} in all."
        )
    return model


def manifest_sha256(folder: Path) -> str:
    """Return the sha256 (hex) of the manifest, which identifies the content of all its files."""
    return hashlib.sha256((folder / MANIFEST_FILE).read_bytes()).hexdigest()


def gate_path(registry_dir: Path, model: str) -> Path:
    """Return the path of the gate record of `name/version`."""
    return registry_dir / f"{model}.gate.json"


def read_gate(path: Path) -> GateRecord:
    """Read a gate record.

    Raises:
        ArtifactError: the file is not a gate record.
    """
    remedy = "Create the record again with `.venv-test/bin/python -m ml register`."
    return read_json(GateRecord, path, remedy=remedy)


def write_gate(path: Path, record: GateRecord) -> None:
    """Replace the record atomically, so that a reader gets either the old or the new one."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
