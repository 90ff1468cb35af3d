"""Build a whole artifact from an adapter and the pretrained encoder that it changes. Needs no torch."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

from ml.artifact.adapter import ADAPTER_FILE, TENSORS_FILE, Adapter, merged, read_adapter
from ml.artifact.base_weights import base_weights, file_sha256, verify
from ml.artifact.manifest_writer import write_manifest
from ml.artifact.network import write_network
from service.errors import ConfigError
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.arrays import Floats
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.manifest import MANIFEST_FILE

_FINGERPRINT = "adapter_sha256"


def built(adapter: Path, models: Path) -> Artifact | None:
    """Return the verified artifact in `models` that was built from exactly this adapter, None without one.

    Raises:
        ArtifactError: it was altered since.
        ConfigError: `adapter` has no adapter, or another artifact has its name and version.
    """
    folder = models / read_adapter(adapter).model
    if not folder.exists():
        return None
    manifest = folder / MANIFEST_FILE
    fields = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    if fields.get(_FINGERPRINT) != _fingerprint(adapter):
        raise ConfigError(
            f"{folder} was not built from this version of {adapter}. Remove that folder, then build again."
        )
    return artifacts.load(folder)


def build(adapter: Path, base: Path, models: Path) -> Artifact:
    """Build the artifact into `models`/name/version and prove its golden scores with the integer graph.

    Raises:
        ConfigError: `base` is not the adapter's base, or the artifact exists already.
        ArtifactError: the built graph misses a golden score; nothing is left behind.
    """
    described = read_adapter(adapter)
    folder = models / described.model
    if folder.exists():
        raise ConfigError(f"{folder} exists already; remove it to build it again.")
    verify(base, described.base)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=folder.parent) as scratch:
        new = Path(scratch) / "artifact"
        _write(described, adapter, base, new)
        LocalAnalyzer.open(new, device="cpu", n_threads=1).close()
        new.rename(folder)
    return artifacts.load(folder)


def _write(described: Adapter, adapter: Path, base: Path, folder: Path) -> None:
    config = described.network_config
    state = merged(base_weights(base, config), adapter / TENSORS_FILE)
    write_network(state, config, folder, bits=described.manifest["weight_bits"])
    save_file(_halved(state), folder / artifacts.FLOAT_WEIGHTS_FILE)
    (folder / artifacts.FLOAT_WEIGHTS_FILE).chmod(0o644)
    for path in sorted(adapter.iterdir()):
        if path.name not in {ADAPTER_FILE, TENSORS_FILE}:
            shutil.copyfile(path, folder / path.name)
    write_manifest(folder, {**described.manifest, _FINGERPRINT: _fingerprint(adapter)})


def _halved(state: Mapping[str, Floats]) -> dict[str, np.ndarray]:
    """Return the matrices of the encoder in bfloat16, and all other tensors as they are."""
    return {
        name: value.astype(ml_dtypes.bfloat16) if _is_large(name, value) else value
        for name, value in state.items()
    }


def _is_large(name: str, value: Floats) -> bool:
    return value.ndim == 2 and name.startswith(("words.", "positions.", "layers."))


def _fingerprint(adapter: Path) -> dict[str, str]:
    """Return the sha256 of each of the adapter's files."""
    return {path.name: file_sha256(path) for path in sorted(adapter.iterdir())}
