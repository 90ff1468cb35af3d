"""Trained models (artifacts and finished runs), and the network from which training starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from ml.commands import command
from ml.json_file import write_json
from ml.settings import Settings, load
from ml.training.base import base_config, base_network, base_tokenizer
from ml.training.batches import open_tokenizer
from ml.training.checkpoints import model_path
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import CONFIG_FILE, TOKENIZER_FILE
from service.nlp.artifacts.manifest import MANIFEST_FILE
from service.nlp.inference.network import Network
from service.nlp.inference.network_config import NetworkConfig, read_network_config
from service.nlp.inference.torch_engine import load_network

State = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """The network of an artifact or of a finished run; `state` has our tensor names."""

    folder: Path
    config: NetworkConfig
    state: State
    tokenizer: Tokenizer

    def fits(self, other: TrainedModel) -> bool:
        """Return whether the mean of both models' weights is a model."""
        return not differences(self.config, other.config) and _same(self.tokenizer, other.tokenizer)


def starting_network(settings: Settings, n_labels: int) -> Network:
    """Return the network from which training starts: the mean of the models in `start`, or the base.

    Raises:
        ConfigError: the base cannot be used, a folder of `start` has neither an artifact nor a finished run,
            or holds a network that is not around this base.
        ArtifactError: an artifact was altered.
    """
    base, dropout = settings.base, settings.train.dropout
    if not base.start:
        return base_network(base, n_labels=n_labels, dropout=dropout)
    expected = base_config(base, n_labels=n_labels, dropout=dropout)
    models = open_models(base.start)
    tokenizer = base_tokenizer(base).tokenizer
    for model in models:
        faults = differences(model.config, expected)
        if not faults and not _same(model.tokenizer, tokenizer):
            faults = ["its tokenizer has another vocabulary"]
        if faults:
            raise ConfigError(
                f"[base] start: the model in {model.folder} does not continue from [base] model = "
                f"{base.model!r}: {'; '.join(faults)}. Name the encoder that it was trained from, or "
                "leave `start` empty."
            )
    return mean_network(models, dropout=dropout)


def open_models(names: Sequence[str]) -> list[TrainedModel]:
    """Open artifacts and finished runs; folders are relative to the repository's root.

    Raises:
        ConfigError: a folder has neither an artifact nor a finished run; the message names the remedy.
        ArtifactError: an artifact was altered.
    """
    return [_open(ROOT / name) for name in names]


def mean_network(models: Sequence[TrainedModel], *, dropout: float) -> Network:
    """Return the network with the mean weights of models that fit each other."""
    state = mean_state([model.state for model in models])
    return network_with(state, replace(models[0].config, dropout=dropout))


def groups_that_fit(models: Sequence[TrainedModel]) -> list[list[TrainedModel]]:
    """Return the models in groups that have a mean, in order of their first ones."""
    groups: list[list[TrainedModel]] = []
    for model in models:
        group = next((group for group in groups if group[0].fits(model)), None)
        if group is None:
            groups.append([model])
        else:
            group.append(model)
    return groups


def mean_state(states: Sequence[State]) -> State:
    """Return the mean of each tensor over the states that have it: not all have neighbour heads."""
    names = dict.fromkeys(name for state in states for name in state)
    return {n: torch.stack([s[n] for s in states if n in s]).mean(dim=0) for n in names}


def network_with(state: State, config: NetworkConfig) -> Network:
    """Return the network with these weights; its neighbour heads, if it has any, are not trained."""
    network = Network(replace(config, influence="influence.weight" in state))
    network.load_state(state)
    if network.influence is not None:
        network.influence.requires_grad_(requires_grad=False)
    return network


def write_description(run: Path, config: NetworkConfig, tokenizer: Tokenizer) -> None:
    """Write config.json and tokenizer.json of a run, which make its weights a model."""
    write_json(run / CONFIG_FILE, asdict(config))
    (run / TOKENIZER_FILE).write_text(tokenizer.to_str(pretty=True), encoding="utf-8")


def differences(config: NetworkConfig, other: NetworkConfig) -> list[str]:
    """Return how the shape of `config` differs from that of `other`, such as "n_layers is 6, not 12"."""
    ignored = {"influence", "dropout", "transformers"}
    ours, theirs = asdict(config), asdict(other)
    return [
        f"its {key} is {ours[key]}, not {theirs[key]}"
        for key in ours
        if key not in ignored and ours[key] != theirs[key]
    ]


def _same(tokenizer: Tokenizer, other: Tokenizer) -> bool:
    return bool(tokenizer.get_vocab() == other.get_vocab())


def _open(folder: Path) -> TrainedModel:
    if model_path(folder).is_file() and (folder / CONFIG_FILE).is_file():
        config = read_network_config(folder / CONFIG_FILE)
        tokenizer = open_tokenizer(folder / TOKENIZER_FILE)
        return TrainedModel(folder, config, dict(load_file(model_path(folder))), tokenizer)
    if not (folder / MANIFEST_FILE).is_file():
        raise ConfigError(
            f"{folder} has neither an artifact nor a finished run: {_remedy(folder)}."
        )
    artifact = artifacts.load(folder)
    network = load_network(artifact)
    return TrainedModel(folder, network.config, network.state(), artifact.tokenizer())


def _remedy(folder: Path) -> str:
    """Return the remedy: the command that trains the run, if a configuration in the repository names it."""
    for path in sorted((ROOT / "ml/configs").glob("*.toml")):
        if load(path).run_dir == folder:
            return f"run `{command('ml', 'train', path.relative_to(ROOT))}` first"
    return "correct `start` or `teachers` in the configuration file"
