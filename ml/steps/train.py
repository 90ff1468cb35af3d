"""`python -m ml train`: fine-tune the whole encoder with one linear head."""

from __future__ import annotations

from pathlib import Path

import click
import torch

from ml.corpus.dataset import load_dataset
from ml.corpus.dataset_card import summary
from ml.json_file import write_json
from ml.settings import Settings, load
from ml.training import cross_fitting
from ml.training.checkpoints import discard_other_training
from ml.training.inputs import Inputs
from ml.training.last_layer import first_vectors, last_layer
from ml.training.loop import open_accelerator, train_seed
from ml.training.run_result import write_result
from ml.training.trained_models import starting_network
from ml.versions import resolve
from service.errors import ConfigError


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--seed", type=int, help="Train this seed alone, beside others in other processes.")
def train(config: Path, seed: int | None) -> None:
    """Fine-tune the encoder, or the part that `trained_part` names, with a linear head, once for each seed.

    Writes <run>/model.safetensors, the mean of the last checkpoints of all seeds. With `folds`, each seed
    holds out a part of the documents and scores it.

    A killed training resumes from its last checkpoint, at most `save_every_min` old, and ends with the
    same weights.

    Several GPUs or machines: `torchrun --nproc-per-node 4 -m ml train CONFIG`. Each process takes its
    share of the batches, so a step covers that many times more sentences.

    Without a GPU, one process for each seed uses the cores best: start each with --seed K, and when they have
    ended, this command without it, which averages.
    """
    run(load(config), only_seed=seed)


def run(settings: Settings, *, only_seed: int | None = None) -> None:
    """Train every seed, then average; with `only_seed` train that one.

    Raises:
        ConfigError: the configuration names a missing file or folder.
        DatasetError: a file of sentences is missing or faulty.
    """
    settings = resolve(settings)
    if only_seed is not None and only_seed not in settings.train.seeds:
        raise ConfigError(f"[train] seeds = {settings.train.seeds} has no seed {only_seed}.")
    dataset = load_dataset(settings.data)
    others = [name for name in settings.train.influence_of if name != settings.train.run]
    cross_fitting.real_sentence_logits(
        others, dataset.train
    )  # missing ones fail now, not after hours
    start = starting_network(settings) if settings.train.trained_part == "last" else None
    if start is not None:
        last_layer(start)  # an unfit network fails now, too
    discard_other_training(settings, dataset.fingerprint)
    write_json(settings.run_dir / "dataset.json", summary(dataset))
    torch.set_num_threads(settings.train.n_threads)
    accelerator = open_accelerator(settings.train)
    inputs = Inputs.read(settings, dataset)
    if start is not None:
        inputs.first_vectors = first_vectors(start, inputs.ids, settings.train)
    for seed in settings.train.seeds if only_seed is None else [only_seed]:
        train_seed(settings, inputs, seed, accelerator)
    if only_seed is None and accelerator.is_main_process:
        write_result(settings, inputs, dataset)
    accelerator.end_training()
