"""The result of a run: the mean of its seeds, with neighbour heads, and its cross-fitted scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from ml.corpus.dataset import Dataset, targets
from ml.settings import Settings
from ml.training import cross_fitting, neighbour_heads
from ml.training.batches import in_bfloat16, model_logits, pooled_vectors
from ml.training.checkpoints import averaged, blended, last_checkpoints, model_path
from ml.training.inputs import Inputs
from ml.training.optimizers import save_state
from ml.training.pretrained import network_with, starting_model
from service.nlp.arrays import Floats
from service.nlp.taxonomy import RISK_TYPES


def write_result(
    settings: Settings, inputs: Inputs, dataset: Dataset, neighbours: Mapping[int, list[Floats]]
) -> None:
    """Write <run>/model.safetensors, and the cross-fitted scores of a run with folds.

    `neighbours` are the cross-fitted logits of real sentences by row; the influence of neighbours is
    learned beside them, and stays that of the start model if there are none.
    """
    state = mean_of_seeds(settings, settings.train.seeds)
    if neighbours:
        state |= fit_influence(settings, inputs, dataset, state, neighbours)
    save_state(str(model_path(settings.run_dir)), state)
    if settings.train.folds > 1:
        write_cross_fitted_scores(settings, inputs, dataset)


def fit_influence(
    settings: Settings,
    inputs: Inputs,
    dataset: Dataset,
    state: dict[str, torch.Tensor],
    neighbours: Mapping[int, list[Floats]],
) -> dict[str, torch.Tensor]:
    """Return the learned influence of neighbouring rows, see ml/training/neighbour_heads.py."""
    model = network_with(state, dropout=0.0)
    ids = [inputs.ids[k] for k in neighbours]
    pooled = pooled_vectors(model, ids, bfloat16=in_bfloat16(settings.train)).numpy()
    logits = np.array([np.mean(scores, axis=0) for scores in neighbours.values()], np.float32)
    examples = [dataset.train[k] for k in neighbours]
    heads = neighbour_heads.fit(pooled, logits, targets(examples), examples)
    return {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in heads.items()}


def mean_of_seeds(settings: Settings, seeds: Sequence[int]) -> dict[str, torch.Tensor]:
    """Return the mean of the seeds' last checkpoints, moved towards the start by the share `keep`."""
    mean = averaged(last_checkpoints(settings.run_dir, replace(settings.train, seeds=list(seeds))))
    start = {n: v.numpy() for n, v in starting_model(settings).state_dict().items()}
    return {n: torch.from_numpy(v) for n, v in blended(mean, start, settings.train.keep).items()}


def write_cross_fitted_scores(settings: Settings, inputs: Inputs, dataset: Dataset) -> None:
    """Score each fold with the mean of the seeds that held it out."""
    recipe = settings.train
    logits = np.zeros((len(inputs.ids), len(RISK_TYPES)), np.float32)
    for fold in range(recipe.folds):
        model = starting_model(settings)
        seeds = [s for s in recipe.seeds if cross_fitting.held_out_fold(recipe, s) == fold]
        model.load_state_dict(mean_of_seeds(settings, seeds))
        rows = np.flatnonzero(inputs.fold == fold)
        ids = [inputs.ids[k] for k in rows]
        logits[rows] = model_logits(model, ids, bfloat16=in_bfloat16(recipe)).numpy()
    cross_fitting.write(settings.run_dir, [e.text for e in dataset.train], logits)
