"""Trained models (artifacts and finished runs), and the network from which training starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from ml.commands import command
from ml.corpus.dataset import load_taxonomy
from ml.json_file import write_json
from ml.settings import Settings, load
from ml.training.base import base_config, base_network, base_tokenizer
from ml.training.batches import open_tokenizer
from ml.training.checkpoints import model_path, run_risk_types
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import CONFIG_FILE, TOKENIZER_FILE
from service.nlp.artifacts.manifest import MANIFEST_FILE
from service.nlp.inference.network import Network
from service.nlp.inference.network_config import NetworkConfig, read_network_config
from service.nlp.inference.torch_engine import load_network
from service.nlp.taxonomy import TAXONOMY_FILE, Taxonomy

State = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """The network of an artifact or of a finished run; `state` has our tensor names.

    `risk_types` are the keys of its logits, in order; None for a run that did not write them.
    """

    folder: Path
    config: NetworkConfig
    state: State
    tokenizer: Tokenizer
    risk_types: tuple[str, ...] | None

    def fits(self, other: TrainedModel) -> bool:
        """Return whether the mean of both models' weights is a model."""
        return not differences(self.config, other.config) and _same(self.tokenizer, other.tokenizer)


def starting_network(settings: Settings) -> Network:
    """Return the network from which training starts: the mean of the models in `start`, or the base.

    Raises:
        ConfigError: the base cannot be used, a folder of `start` has neither an artifact nor a finished run,
            or holds a network that is not around this base or has other risk types than the data.
        ArtifactError: an artifact was altered.
    """
    base, dropout = settings.base, settings.train.dropout
    risk_types = load_taxonomy(settings.data).risk_types
    n_labels = len(risk_types)
    if not base.start:
        return base_network(base, n_labels=n_labels, dropout=dropout)
    expected = base_config(base, n_labels=n_labels, dropout=dropout)
    models = open_models(base.start)
    tokenizer = base_tokenizer(base).tokenizer
    for model in models:
        check_risk_types(model, risk_types, key="[base] start")
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


def check_risk_types(model: TrainedModel, risk_types: Sequence[str], *, key: str) -> None:
    """Check that a model's logits have the keys of the data, in the same order.

    `key` is the setting that names the model.

    Raises:
        ConfigError: they differ; the message names the difference.
    """
    theirs = model.risk_types
    if theirs is None:
        n_labels = model.config.n_labels
        fault = "" if n_labels == len(risk_types) else f"it has {n_labels}, not {len(risk_types)}"
    else:
        fault = _difference(theirs, tuple(risk_types))
    if fault:
        raise ConfigError(
            f"{key}: the model in {model.folder} has other risk types than the taxonomy of [data]: {fault}. "
            "Leave it out, or name its taxonomy."
        )


def _difference(theirs: Sequence[str], ours: Sequence[str]) -> str:
    """Return a sentence on how the keys of a model differ from those of the data; "" if they are equal."""
    if theirs == ours:
        return ""
    lacking = [key for key in ours if key not in theirs]
    extra = [key for key in theirs if key not in ours]
    parts = [f"it lacks {', '.join(lacking)}"] if lacking else []
    parts += [f"it has {', '.join(extra)}"] if extra else []
    if not parts:
        k = next(k for k, pair in enumerate(zip(theirs, ours, strict=True)) if len({*pair}) > 1)
        parts = [f"they are in another order, {theirs[k]} in the place of {ours[k]}"]
    return "; ".join(parts)


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


def write_description(
    run: Path, config: NetworkConfig, tokenizer: Tokenizer, taxonomy: Taxonomy
) -> None:
    """Write config.json, tokenizer.json and taxonomy.json of a run, which make its weights a model."""
    write_json(run / CONFIG_FILE, asdict(config))
    (run / TAXONOMY_FILE).write_text(taxonomy.as_json(), encoding="utf-8")
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
        tokenizer, state = open_tokenizer(folder / TOKENIZER_FILE), load_file(model_path(folder))
        return TrainedModel(folder, config, dict(state), tokenizer, run_risk_types(folder))
    if not (folder / MANIFEST_FILE).is_file():
        raise ConfigError(
            f"{folder} has neither an artifact nor a finished run: {_remedy(folder)}."
        )
    artifact = artifacts.load(folder)
    network = load_network(artifact)
    labels = artifact.manifest.labels
    return TrainedModel(folder, network.config, network.state(), artifact.tokenizer(), labels)


def _remedy(folder: Path) -> str:
    """Return the remedy: the command that trains the run, if a configuration in the repository names it."""
    for path in sorted((ROOT / "ml/configs").glob("*.toml")):
        if load(path).run_dir == folder:
            return f"run `{command('ml', 'train', path.relative_to(ROOT))}` first"
    return "correct `start` or `teachers` in the configuration file"
