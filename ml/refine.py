"""Teach the averaged model a few more sentences: `python -m ml.refine ml/configs/riskscan-minilm.toml`.

A short pass at a low rate over the files under `refine` of [data], such as reviewers' corrections or plain
phrasings that the large files lack, mixed with sentences of the training split, so that nothing is
forgotten; then only a share of the way is gone (arXiv:2109.01903), which keeps more of the old skill.
Writes <run>/refined.safetensors, which the export takes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

from ml.base import base_dir, pretrained
from ml.checkpoints import averaged, last_checkpoints
from ml.dataset import Example, load_dataset, targets
from ml.settings import Settings, run_step
from ml.train import encode, fit, open_tokenizer


def refined_path(run: Path) -> Path:
    """Return the file of the run's refined weights."""
    return run / "refined.safetensors"


def mixed(
    refine: Sequence[Example], train: Sequence[Example], *, replay: int, seed: int
) -> list[Example]:
    """Return `refine` and, for each of its sentences, `replay` random ones of `train`."""
    n = min(len(train), replay * len(refine))
    rng = random.Random(seed)  # noqa: S311 - sampling, not secrecy
    return [*refine, *rng.sample(list(train), n)]


def main(settings: Settings) -> None:
    """Average the checkpoints, refine the mean, blend both, and save the result."""
    options = settings.refine
    recipe = replace(
        settings.train,
        epochs=options.epochs,
        decay_epochs=options.epochs,
        n_checkpoints=1,
        encoder_lr=options.encoder_lr,
        head_lr=options.head_lr,
    )
    torch.set_num_threads(recipe.n_threads)
    mean = averaged(last_checkpoints(settings.run_dir, settings.train))
    old = {name: torch.from_numpy(value) for name, value in mean.items()}
    model = pretrained(settings.base, dropout=recipe.dropout)
    model.load_state_dict(old)
    dataset = load_dataset(settings.data)
    examples = mixed(dataset.refine, dataset.train, replay=options.replay, seed=options.seed)
    tokenizer = open_tokenizer(base_dir(settings.base) / "tokenizer.json")
    ids = encode(tokenizer, [e.text for e in examples], recipe.max_length_tokens)
    for _, loss in fit(model, ids, torch.from_numpy(targets(examples)), recipe, seed=options.seed):
        print(f"\nrefined on {len(examples)} sentences: loss {loss:.3f}")
    blended = {n: torch.lerp(old[n], new, options.share) for n, new in model.state_dict().items()}
    save_file(blended, refined_path(settings.run_dir))


if __name__ == "__main__":
    run_step(main)
