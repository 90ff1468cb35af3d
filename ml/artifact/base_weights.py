"""The weights of a pretrained encoder under our tensor names. Needs no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from ml.artifact.adapter import BASE_WEIGHTS_FILE, Base
from service.errors import ConfigError
from service.nlp.arrays import Floats
from service.nlp.inference.network_config import MPNET, NetworkConfig

_N_UNUSED_POSITIONS = 2
"""MPNet's position table begins with two rows that no token uses."""
_FFN = {"ffn_in": "intermediate.dense", "ffn_out": "output.dense", "ffn_norm": "output.LayerNorm"}
_PARTS = {
    MPNET: {"attention_out": "attention.attn.o", "attention_norm": "attention.LayerNorm", **_FFN},
    "bert": {
        "attention_out": "attention.output.dense",
        "attention_norm": "attention.output.LayerNorm",
        **_FFN,
    },
}
_QKV = {
    MPNET: [f"attention.attn.{part}" for part in "qkv"],
    "bert": [f"attention.self.{part}" for part in ("query", "key", "value")],
}


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
        state = {
            our: np.concatenate([theirs[name] for name in names]) for our, names in _names(config)
        }
        positions = theirs["embeddings.position_embeddings.weight"]
        if config.architecture == MPNET:
            state["positions.weight"] = positions[_N_UNUSED_POSITIONS:]
        else:
            state["positions.weight"] = (
                positions + theirs["embeddings.token_type_embeddings.weight"][0]
            )
    except KeyError as error:
        raise ConfigError(
            f"{folder / BASE_WEIGHTS_FILE} lacks {error.args[0]}; it must be a {config.architecture} with "
            f"{config.n_layers} layers."
        ) from error
    return state


def _names(config: NetworkConfig) -> Iterator[tuple[str, list[str]]]:
    """Yield our name of a tensor, and the tensors of transformers whose rows it has."""
    architecture = config.architecture
    yield "words.weight", ["embeddings.word_embeddings.weight"]
    if architecture == MPNET:
        yield "relative.weight", ["encoder.relative_attention_bias.weight"]
    for kind in ("weight", "bias"):
        yield f"embedding_norm.{kind}", [f"embeddings.LayerNorm.{kind}"]
        for n in range(config.n_layers):
            layer = f"encoder.layer.{n}"
            yield f"layers.{n}.qkv.{kind}", [f"{layer}.{p}.{kind}" for p in _QKV[architecture]]
            for our, their in _PARTS[architecture].items():
                yield f"layers.{n}.{our}.{kind}", [f"{layer}.{their}.{kind}"]


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
