"""Write an adapter: factorise what training changed in a pretrained encoder. Needs no torch."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from ml.artifact.adapter import (
    ADAPTER_FILE,
    BASE_WEIGHTS_FILE,
    DOWN,
    TENSORS_FILE,
    UP,
    Adapter,
    Base,
    Source,
    network_fields,
    product,
    split_qkv,
)
from ml.artifact.base_weights import base_weights, file_sha256
from ml.artifact.manifest_writer import manifest_fields
from ml.json_file import write_json
from service.errors import ConfigError
from service.nlp.arrays import Floats
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.manifest import MANIFEST_FILE
from service.nlp.inference.network_config import read_network_config

MAX_BYTES = 12_000_000
"""Version control holds the file, and a clone downloads each of its versions."""
_BUILT = {
    MANIFEST_FILE,
    artifacts.CONFIG_FILE,
    artifacts.ONNX_FILE,
    artifacts.WEIGHTS_FILE,
    artifacts.FLOAT_WEIGHTS_FILE,
}


@dataclass(frozen=True, slots=True)
class Request:
    """The fine-tuned weights in a file, their calibrated artifact, the base's folder, and the rank.

    `source` says where others download the base; None if they must have it.
    """

    state: Path
    artifact: Path
    base: Path
    rank: int
    source: Source | None


@dataclass(frozen=True, slots=True)
class Loss:
    """The share of the norm of the changes that the factors keep: overall, and that of the worst matrix."""

    kept: float
    worst: float
    worst_matrix: str
    n_bytes: int


def write_adapter(request: Request, folder: Path) -> Loss:
    """Write the adapter into the new folder `folder`.

    Raises:
        ArtifactError: the artifact is missing or altered.
        ConfigError: the folder exists, the weights do not fit the base, or the adapter is too large.
    """
    if folder.exists():
        raise ConfigError(f"{folder} exists already; name a new folder.")
    artifact = artifacts.load(request.artifact)
    config = read_network_config(artifact.path / artifacts.CONFIG_FILE)
    base = split_qkv(base_weights(request.base, config))
    tensors, loss = _factors(base, split_qkv(load_file(request.state)), request.rank)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adapter-", dir=folder.parent) as scratch:
        new = Path(scratch) / "adapter"
        new.mkdir()
        save_file(tensors, new / TENSORS_FILE)
        (new / TENSORS_FILE).chmod(0o644)
        n_bytes = (new / TENSORS_FILE).stat().st_size
        if n_bytes > MAX_BYTES:
            raise ConfigError(
                f"The adapter has {n_bytes:,} bytes, more than {MAX_BYTES:,}: lower the rank."
            )
        write_json(new / ADAPTER_FILE, _described(request, artifact).model_dump(mode="json"))
        for name in sorted(set(artifact.manifest.files) - _BUILT):
            shutil.copyfile(artifact.path / name, new / name)
        new.rename(folder)
    return Loss(*loss, n_bytes)


def _described(request: Request, artifact: Artifact) -> Adapter:
    fields = manifest_fields(artifact.path)
    known = fields["base_model"]
    base = Base(
        name=known["name"],
        license=known["license"],
        sha256={BASE_WEIGHTS_FILE: file_sha256(request.base / BASE_WEIGHTS_FILE)},
        source=request.source,
    )
    network = network_fields(read_network_config(artifact.path / artifacts.CONFIG_FILE))
    return Adapter(
        adapter_version=1, base=base, rank=request.rank, network=network, manifest=fields
    )


def _factors(
    base: Mapping[str, Floats], tuned: Mapping[str, Floats], rank: int
) -> tuple[dict[str, npt.NDArray[np.generic]], tuple[float, float, str]]:
    """Return the adapter's tensors, and the norm that they keep: overall, the smallest, and of what."""
    if missing := sorted(set(base) - set(tuned)):
        raise ConfigError(f"The fine-tuned weights lack {missing[0]}; they are of another network.")
    tensors: dict[str, npt.NDArray[np.generic]] = {}
    norms: dict[str, tuple[float, float]] = {}
    for name, value in tuned.items():
        before = base.get(name)
        if before is not None and before.shape != value.shape:
            raise ConfigError(f"{name} has the shape {value.shape}, in the base {before.shape}.")
        if before is not None and np.array_equal(before, value):
            continue
        if before is None or value.ndim < 2 or min(value.shape) <= rank:
            tensors[name] = np.ascontiguousarray(value, np.float32)
            continue
        difference = value.astype(np.float64) - before
        up, down = low_rank(difference, rank)
        tensors[name + UP], tensors[name + DOWN] = up, down
        lost = np.linalg.norm(difference - product(up, down))
        norms[name] = float(np.linalg.norm(difference)), float(lost)
    return tensors, _kept(norms)


def low_rank(
    matrix: npt.NDArray[np.float64], rank: int
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.float16]]:
    """Return float16 (out, rank) and (rank, in), whose product is the closest to `matrix` of this rank.

    Source: Eckart and Young, The approximation of one matrix by another of lower rank (1936).
    """
    left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    roots = np.sqrt(sizes[:rank])
    up = np.ascontiguousarray(left[:, :rank] * roots, np.float16)
    return up, np.ascontiguousarray(roots[:, None] * right[:rank], np.float16)


def _kept(norms: Mapping[str, tuple[float, float]]) -> tuple[float, float, str]:
    """Return the share of the norm that is kept, sqrt(1 - (lost / whole)^2): overall, least, and where."""
    if not norms:
        return 1.0, 1.0, "none"
    whole, lost = np.array(list(norms.values())).T
    shares = np.sqrt(np.maximum(0, 1 - (lost / whole) ** 2))
    overall = np.sqrt(max(0.0, 1 - (lost**2).sum() / (whole**2).sum()))
    worst = int(shares.argmin())
    return float(overall), float(shares[worst]), list(norms)[worst]
