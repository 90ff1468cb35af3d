"""The result of a run: the mean of its seeds, with neighbour heads, and its cross-fitted scores."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from ml.corpus.dataset import Dataset, targets
from ml.settings import Settings, TrainSettings
from ml.training import cross_fitting, neighbour_heads
from ml.training.base import base_tokenizer
from ml.training.batches import in_bfloat16, model_logits, pooled_vectors
from ml.training.checkpoints import averaged, blended, last_checkpoints, model_path
from ml.training.inputs import Inputs
from ml.training.optimizers import save_state
from ml.training.trained_models import network_with, starting_network, write_description
from service.nlp.arrays import Floats
from service.nlp.inference.network import Network

_MOST_REFITTED = 20_000
"""Sentences on which the neighbour heads are refitted: many more than a row of them has weights."""


def write_result(settings: Settings, inputs: Inputs, dataset: Dataset) -> None:
    """Write <run>/model.safetensors, and the cross-fitted scores of a run with folds.

    The influence of neighbours is learned beside the cross-fitted logits of the runs in `influence_of`, which
    may name this run. Without any, the sentences keep the influence that the start model gives them.
    """
    start = starting_network(settings)
    if settings.train.folds > 1:
        write_cross_fitted_scores(settings, inputs, dataset, start)
    neighbours = cross_fitting.real_sentence_logits(settings.train.influence_of, dataset.train)
    state = mean_of_seeds(settings, start, settings.train.seeds)
    network = network_with(state, start.config)
    if neighbours:
        state |= fit_influence(network, settings.train, inputs, dataset, neighbours)
    elif start.influence is not None:
        state |= kept_influence(start, network, settings.train, inputs)
    config = replace(start.config, influence="influence.weight" in state)
    tokenizer = base_tokenizer(settings.base).tokenizer
    write_description(settings.run_dir, config, tokenizer, dataset.taxonomy)
    save_state(str(model_path(settings.run_dir)), state)


def fit_influence(
    model: Network,
    recipe: TrainSettings,
    inputs: Inputs,
    dataset: Dataset,
    neighbours: Mapping[int, list[Floats]],
) -> dict[str, torch.Tensor]:
    """Return the learned influence of neighbouring rows, see ml/training/neighbour_heads.py."""
    ids = [inputs.ids[k] for k in neighbours]
    pooled = pooled_vectors(model, ids, bfloat16=in_bfloat16(recipe)).numpy()
    logits = np.array([np.mean(scores, axis=0) for scores in neighbours.values()], np.float32)
    examples = [dataset.train[k] for k in neighbours]
    heads = neighbour_heads.fit(pooled, logits, targets(examples, dataset.taxonomy), examples)
    return {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in heads.items()}


def kept_influence(
    start: Network, model: Network, recipe: TrainSettings, inputs: Inputs
) -> dict[str, torch.Tensor]:
    """Return heads of `model` with the influence that `start` gives to the sentences of the training."""
    chosen = random.Random(0).sample(inputs.ids, min(len(inputs.ids), _MOST_REFITTED))  # noqa: S311 - no secret
    bfloat16 = in_bfloat16(recipe)
    before, now = (pooled_vectors(n, chosen, bfloat16=bfloat16).numpy() for n in (start, model))
    old = {n: v.numpy() for n, v in start.state().items() if n.startswith("influence.")}
    heads = neighbour_heads.refitted(before, now, old)
    return {name: torch.from_numpy(v) for name, v in heads.items()}


def mean_of_seeds(
    settings: Settings, start: Network, seeds: Sequence[int]
) -> dict[str, torch.Tensor]:
    """Return the mean of the seeds' last checkpoints, moved towards `start` by the share `keep`."""
    mean = averaged(last_checkpoints(settings.run_dir, replace(settings.train, seeds=list(seeds))))
    before = {n: v.numpy() for n, v in start.state().items()}
    return {n: torch.from_numpy(v) for n, v in blended(mean, before, settings.train.keep).items()}


def write_cross_fitted_scores(
    settings: Settings, inputs: Inputs, dataset: Dataset, start: Network
) -> None:
    """Score each fold that seeds held out with their mean."""
    recipe = settings.train
    n_labelled = len(dataset.train)
    logits = np.zeros((n_labelled, inputs.n_labels), np.float32)
    for fold in range(min(recipe.folds, len(recipe.seeds))):
        seeds = [s for s in recipe.seeds if cross_fitting.held_out_fold(recipe, s) == fold]
        model = network_with(mean_of_seeds(settings, start, seeds), start.config)
        rows = np.flatnonzero(inputs.fold[:n_labelled] == fold)
        ids = [inputs.ids[k] for k in rows]
        logits[rows] = model_logits(model, ids, bfloat16=in_bfloat16(recipe)).numpy()
    scored = np.flatnonzero(inputs.fold[:n_labelled] < len(recipe.seeds))
    texts = [dataset.train[k].text for k in scored]
    cross_fitting.write(settings.run_dir, texts, logits[scored])
