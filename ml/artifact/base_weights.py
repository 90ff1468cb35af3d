"""The weights of a pretrained encoder under our tensor names. Needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from ml.artifact.adapter import BASE_WEIGHTS_FILE, Base
from service.errors import ConfigError
from service.nlp.arrays import Floats
from service.nlp.inference.network_config import MPNET, NetworkConfig
from service.nlp.inference.tensor_names import (
    MPNET_POSITION_OFFSET,
    POSITIONS,
    RELATIVE,
    SEGMENTS,
    WORDS,
    fused_names,
    plain_names,
)


def base_weights(folder: Path, config: NetworkConfig) -> dict[str, Floats]:
    """Return the encoder's weights in `folder`, float32, under the names of our weights file.

    Raises:
        ConfigError: the file lacks a tensor of this network.
    """
    prefix = f"{config.architecture}."
    theirs = {
        name.removeprefix(prefix): value.astype(np.float32, copy=False)
        for name, value in load_file(folder / BASE_WEIGHTS_FILE).items()
    }
    try:
        state = _ours(theirs, config)
    except KeyError as error:
        raise ConfigError(
            f"{folder / BASE_WEIGHTS_FILE} lacks {error.args[0]}; it must be a {config.architecture} with "
            f"{config.n_layers} layers."
        ) from error
    return state


def _ours(theirs: Mapping[str, Floats], config: NetworkConfig) -> dict[str, Floats]:
    """Return the tensors as service/nlp/inference/tensor_conversion.py does with torch."""
    state = {our: theirs[their] for our, their in plain_names(config).items()}
    for our, parts in fused_names(config).items():
        state[our] = np.concatenate([theirs[part] for part in parts])
    state["words.weight"] = theirs[WORDS]
    if config.architecture == MPNET:
        state["positions.weight"] = theirs[POSITIONS][MPNET_POSITION_OFFSET:]
        state["relative.weight"] = theirs[RELATIVE]
    else:
        state["positions.weight"] = theirs[POSITIONS] + theirs[SEGMENTS][0]
    return state


def verify(folder: Path, base: Base) -> None:
    """Check the hash of each file of the base that is read.

    Raises:
        ConfigError: a file is missing or another one.
    """
    for name, sha256 in base.sha256.items():
        found = file_sha256(folder / name)
        if found != sha256:
            raise ConfigError(
                f"{folder / name} is not that of {base.name}: its sha256 is {found or 'missing'} instead of "
                f"{sha256}. Name the folder of {base.name}, or fetch it again."
            )


def file_sha256(path: Path) -> str:
    """Return the sha256 (hex) of a file, empty if there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
