"""The model that training starts from: the pretrained encoder of a Python package, or trained models."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file

from ml.commands import command
from ml.settings import BaseSettings, Settings, load
from ml.training.checkpoints import model_path
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.manifest import MANIFEST_FILE
from service.nlp.inference.encoder import EncoderConfig, RiskEncoder
from service.nlp.taxonomy import RISK_TYPES

_LAYER_PARTS = {
    "attention_out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "ffn_in": "intermediate.dense",
    "ffn_out": "output.dense",
    "ffn_norm": "output.LayerNorm",
}

_SIZES = {
    "num_hidden_layers": "n_layers",
    "hidden_size": "hidden_size",
    "num_attention_heads": "n_heads",
    "intermediate_size": "intermediate_size",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "max_positions",
    "layer_norm_eps": "layer_norm_eps",
}
_KIND = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}


def base_dir(settings: BaseSettings) -> Path:
    """Return the folder of the encoder's files, hashes and shape verified; imports nothing of the package.

    Raises:
        ConfigError: the package is not installed, holds files with other hashes, or an encoder
                of another shape than training builds.
    """
    spec = importlib.util.find_spec(settings.package)
    if spec is None or spec.origin is None:
        raise ConfigError(
            f"The package {settings.package} is not installed: "
            f"{command('pip', 'install', '--no-deps', '-r', 'requirements-encoder.txt')}."
        )
    folder = Path(spec.origin).parent / "model"
    _verify(folder / "model.safetensors", settings.weights_sha256)
    _verify(folder / "tokenizer.json", settings.tokenizer_sha256)
    check_shape(folder / "config.json")
    return folder


def check_shape(path: Path) -> None:
    """Compare a base's config.json with the network that training builds.

    Without this check, training would load part of a larger encoder.

    Raises:
        ConfigError: the file is missing or not JSON, or the shape differs; the message names all differences.
    """
    try:
        base = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is missing or not JSON; it states the base's shape.") from error
    ours = EncoderConfig(len(RISK_TYPES))
    expected = {key: getattr(ours, name) for key, name in _SIZES.items()}
    differing = [
        f"{key} {base.get(key)}, not {n}" for key, n in expected.items() if base.get(key) != n
    ]
    differing += [
        f"{key} {base[key]}, not {kind}"
        for key, kind in _KIND.items()
        if base.get(key, kind) != kind
    ]
    if differing:
        raise ConfigError(
            f"The encoder of {path} does not fit: {'; '.join(differing)}. "
            "Name a base of the shape of all-MiniLM-L6-v2 under [base]."
        )


def _verify(path: Path, sha256: str) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    if digest != sha256:
        raise ConfigError(
            f"{path} is not the encoder that [base] names: {digest} instead of {sha256}."
        )


def starting_model(settings: Settings) -> RiskEncoder:
    """Return the model from which training starts: the mean of the models in `start`, or the package's.

    Raises:
        ConfigError: the package is missing, or a folder has neither an artifact nor a finished run.
        ArtifactError: an artifact was altered.
    """
    if settings.base.start:
        return mean_model(settings.base.start, dropout=settings.train.dropout)
    return pretrained(settings.base, dropout=settings.train.dropout)


def mean_model(names: Sequence[str], *, dropout: float) -> RiskEncoder:
    """Return the mean weights of artifacts and finished runs; folders are relative to the repository's root.

    Raises:
        ConfigError: a folder has neither an artifact nor a finished run; the message names the remedy.
        ArtifactError: an artifact was altered.
    """
    return network_with(mean_state([_trained(ROOT / name) for name in names]), dropout=dropout)


def mean_state(states: Sequence[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Return the mean of each tensor over the states that have it: not all have neighbour heads."""
    names = dict.fromkeys(name for state in states for name in state)
    return {n: torch.stack([s[n] for s in states if n in s]).mean(dim=0) for n in names}


def network_with(state: dict[str, torch.Tensor], *, dropout: float) -> RiskEncoder:
    """Return the network with these weights; its neighbour heads, if it has any, are not trained."""
    influence = "influence.weight" in state
    model = RiskEncoder(EncoderConfig(len(RISK_TYPES), influence, dropout=dropout))
    model.load_state_dict(state)
    if model.influence is not None:
        model.influence.requires_grad_(requires_grad=False)
    return model


def _trained(folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of an artifact, or of a finished run."""
    if model_path(folder).is_file():
        return dict(load_file(model_path(folder)))
    if not (folder / MANIFEST_FILE).is_file():
        raise ConfigError(
            f"{folder} has neither an artifact nor a finished run: {_remedy(folder)}."
        )
    from service.nlp.inference.torch_engine import load_encoder  # noqa: PLC0415 - only artifacts need it

    return load_encoder(artifacts.load(folder).path).state_dict()


def _remedy(folder: Path) -> str:
    """Return the remedy: the command that trains the run, if a configuration in the repository names it."""
    for path in sorted((ROOT / "ml/configs").glob("*.toml")):
        if load(path).run_dir == folder:
            return f"run `{command('ml', 'train', path.relative_to(ROOT))}` first"
    return "correct `start` or `teachers` in the configuration file"


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
