"""Write an adapter: factorise what training changed in a pretrained encoder. Needs no torch."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from ml.artifact.adapter import (
    ADAPTER_FILE,
    BASE_WEIGHTS_FILE,
    DOWN,
    TENSORS_FILE,
    UP,
    Adapter,
    Base,
    Source,
    merged,
    network_fields,
    product,
    split_qkv,
)
from ml.artifact.base_weights import base_weights, file_sha256
from ml.artifact.manifest_writer import manifest_fields
from ml.artifact.network import write_weights
from ml.commands import command
from ml.json_file import write_json
from service.errors import ConfigError
from service.nlp.arrays import Floats
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.manifest import MANIFEST_FILE
from service.nlp.inference.network_config import read_network_config

MAX_BYTES = 12_000_000
"""Version control holds the file, and a clone downloads each of its versions."""
_TABLES = {"words.weight", "positions.weight"}
_EIGHT_BITS = 127
_AFTER_TRAINING = ("export", "calibrate", "evaluate")
_BUILT = {
    MANIFEST_FILE,
    artifacts.CONFIG_FILE,
    artifacts.ONNX_FILE,
    artifacts.WEIGHTS_FILE,
    artifacts.FLOAT_WEIGHTS_FILE,
}


@dataclass(frozen=True, slots=True)
class Loss:
    """The share of the norm of the changes that the factors keep: overall, and that of the worst matrix."""

    kept: float
    worst: float
    worst_matrix: str
    n_bytes: int


def write_factors(
    state: Mapping[str, Floats], base: Mapping[str, Floats], path: Path, *, rank: int
) -> Loss:
    """Write the tensors of an adapter of this rank that turns `base` into `state` or close to it.

    Raises:
        ConfigError: the weights do not fit the base, or the adapter is too large.
    """
    tensors, loss = _factors(split_qkv(base), split_qkv(state), rank)
    n_bytes = sum(tensor.nbytes for tensor in tensors.values())
    if n_bytes > MAX_BYTES:
        raise ConfigError(
            f"The adapter has {n_bytes:,} bytes, more than {MAX_BYTES:,}: lower adapter_rank."
        )
    part = path.with_suffix(".part")
    save_file(tensors, part)
    part.chmod(0o644)
    part.replace(path)
    return Loss(*loss, n_bytes)


def write_adapter(
    artifact: Artifact, factors: Path, base: Path, folder: Path, source: Source | None, *, rank: int
) -> None:
    """Write the adapter of a calibrated artifact into the new folder `folder`.

    `factors` is the file that `write_factors` wrote when the artifact was exported, `base` the folder of the
    encoder. `source` says where others download it; None if they must have it.

    Raises:
        ConfigError: the folder exists, or the artifact does not have the weights that the adapter gives back.
    """
    if folder.exists():
        raise ConfigError(f"{folder} exists already; name a new folder.")
    _check_weights(artifact, factors, base)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adapter-", dir=folder.parent) as scratch:
        new = Path(scratch) / "adapter"
        new.mkdir()
        shutil.copyfile(factors, new / TENSORS_FILE)
        described = _described(artifact, base, source, rank)
        write_json(new / ADAPTER_FILE, described.model_dump(mode="json"))
        for name in sorted(set(artifact.manifest.files) - _BUILT):
            shutil.copyfile(artifact.path / name, new / name)
        new.rename(folder)


def _check_weights(artifact: Artifact, factors: Path, base: Path) -> None:
    """Check that base and factors give the artifact's integers, so its golden scores and figures hold."""
    config = read_network_config(artifact.path / artifacts.CONFIG_FILE)
    state = merged(base_weights(base, config), factors)
    bits = manifest_fields(artifact.path)["weight_bits"]
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch) / artifacts.WEIGHTS_FILE
        write_weights(state, config, built, bits=bits)
        is_same = file_sha256(built) == file_sha256(artifact.path / artifacts.WEIGHTS_FILE)
    if not is_same:
        steps = ", ".join(f"`{command('ml', step, 'CONFIG')}`" for step in _AFTER_TRAINING)
        raise ConfigError(
            f"{artifact.path} does not have the weights that {factors} gives back. Run {steps} again."
        )


def _described(artifact: Artifact, base: Path, source: Source | None, rank: int) -> Adapter:
    fields = manifest_fields(artifact.path)
    known = fields["base_model"]
    encoder = Base(
        name=known["name"],
        license=known["license"],
        sha256={BASE_WEIGHTS_FILE: file_sha256(base / BASE_WEIGHTS_FILE)},
        source=source,
    )
    network = network_fields(read_network_config(artifact.path / artifacts.CONFIG_FILE))
    return Adapter(adapter_version=1, base=encoder, rank=rank, network=network, manifest=fields)


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
        if before is not None and _is_same(name, before, value):
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


def _is_same(name: str, before: Floats, value: Floats) -> bool:
    """Return whether training left a tensor as it was, rounding aside.

    An artifact that a training starts from has rounded the tables of words and positions, which LoRA does not
    train. The factors of that rounding would take 2 MB.
    """
    if name in _TABLES:
        half_steps = np.abs(before).max(axis=1, keepdims=True) / _EIGHT_BITS / 2
        return bool((np.abs(value - before) <= 1.01 * half_steps).all())
    return bool(np.array_equal(before, value))


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
