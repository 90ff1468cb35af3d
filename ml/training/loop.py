"""Fine-tune the whole encoder with one linear head: `.venv-test/bin/python -m ml train CONFIG`.

Trains once for each seed and writes <run>/model.safetensors, the mean of the last checkpoints of all seeds.
With `folds`, each seed holds out a part of the documents and scores it (ml/training/cross_fitting.py).
A killed training resumes from its last checkpoint, at most `save_every_min` old, and ends with the same
weights. Several GPUs or machines: `torchrun --nproc-per-node 4 -m ml train CONFIG`; each process takes
its share of the batches, so a step covers that many times more sentences.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch.nn import functional as F  # noqa: N812 - the name the field knows it by

from ml.corpus.dataset import Dataset, Example, load_dataset, summary, targets
from ml.settings import Settings, TrainSettings, run_step
from ml.training import cross_fitting, neighbour_heads
from ml.training.batches import (
    Ids,
    batches,
    encode,
    has_bfloat16,
    logits_of,
    open_tokenizer,
    padded,
    pooled_of,
)
from ml.training.checkpoints import averaged, blended, checkpoint_path, last_checkpoints, model_path
from ml.training.optimizers import Optimizers, load_state, save_state
from ml.training.pretrained import base_dir, mean_model, model_of, starting_model
from ml.training.tracking import Progress, Tracker, write_json
from ml.versions import resolved
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.arrays import Floats
from service.nlp.inference.encoder import RiskEncoder
from service.nlp.taxonomy import RISK_TYPES

_LOG_EVERY = 20


def run(settings: Settings) -> None:
    """Train every seed, then average.

    Raises:
        ConfigError: the configuration names a missing file or folder.
        DatasetError: a file of sentences is missing or faulty.
    """
    settings = resolved(settings)
    dataset = load_dataset(settings.data)
    neighbours = cross_fitting.of_real_sentences(settings.train.influence_of, dataset.train)
    begin_anew_if_changed(settings, dataset)
    write_json(settings.run_dir / "dataset.json", summary(dataset))
    torch.set_num_threads(settings.train.n_threads)
    accelerator = open_accelerator(settings.train)
    inputs = Inputs.read(settings, dataset)
    for seed in settings.train.seeds:
        train_seed(settings, inputs, seed, accelerator)
    if accelerator.is_main_process:
        write_average(settings, inputs, dataset, neighbours)
        if settings.train.folds > 1:
            write_out_of_fold(settings, inputs, dataset)
    accelerator.end_training()


def begin_anew_if_changed(settings: Settings, dataset: Dataset) -> None:
    """Delete what the run's folder holds of a training with another recipe or other sentences."""
    recipe = {
        "train": asdict(settings.train),
        "base": asdict(settings.base),
        "fingerprint": dataset.fingerprint,
    }
    path = settings.run_dir / "recipe.json"
    if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != recipe:
        print(f"{settings.run_dir} held a training of another recipe or other sentences; it goes.")
        for old in [*settings.run_dir.glob("seed-*"), model_path(settings.run_dir)]:
            old.unlink(missing_ok=True)
    write_json(path, recipe)


class Inputs:
    """Token ids and targets of both splits: lists of ids, float32 (n, n_risk_types)."""

    def __init__(
        self, ids: list[Ids], y: torch.Tensor, dev_ids: list[Ids], dev_y: torch.Tensor
    ) -> None:
        self.ids, self.y, self.dev_ids, self.dev_y = ids, y, dev_ids, dev_y
        self.optional: list[int] = []
        """Rows of which each epoch takes a share: real sentences that state no risk."""
        self.fold = np.zeros(len(ids), np.intp)
        """Fold of each row; see TrainSettings."""

    @classmethod
    def read(cls, settings: Settings, dataset: Dataset) -> Inputs:
        """Encode the sentences, and mix in what the teachers say where there are any."""
        train = settings.train
        tokenizer = open_tokenizer(base_dir(settings.base) / "tokenizer.json")
        ids = encode(tokenizer, [e.text for e in dataset.train], train.max_length_tokens)
        dev_ids = encode(tokenizer, [e.text for e in dataset.dev], train.max_length_tokens)
        y = torch.from_numpy(targets(dataset.train))
        if train.teachers:
            said = taught(settings, dataset.train, ids)
            y = torch.lerp(y, said, train.teacher_weight)
        made = cls(ids, y, dev_ids, torch.from_numpy(targets(dataset.dev)))
        made.optional = [k for k, e in enumerate(dataset.train) if is_optional(e)]
        if train.folds > 1:
            made.fold = cross_fitting.fold_of(dataset.train, train.folds)
        return made


def is_optional(example: Example) -> bool:
    """Tell whether an epoch may leave the sentence out: it is real, plentiful, and states no risk."""
    return not example.labels and not example.composed


def taught(settings: Settings, examples: Sequence[Example], ids: Sequence[Ids]) -> torch.Tensor:
    """Return float32 (n, n_risk_types): the probabilities that the mean of the teachers gives.

    Where a teacher that had left a sentence out has scored it, that goes before.
    """
    teachers, recipe = settings.train.teachers, settings.train
    held = [cross_fitting.read(ROOT / name) for name in teachers]
    unseen = [cross_fitting.scores_of(e, held) for e in examples]
    rest = [k for k, scores in enumerate(unseen) if not scores]
    said = np.array([np.mean(s, axis=0) if s else np.zeros(len(RISK_TYPES)) for s in unseen])
    if rest:
        model = mean_model(teachers, dropout=0.0)
        said[rest] = logits_of(model, [ids[k] for k in rest], bfloat16=in_bfloat16(recipe)).numpy()
    return torch.sigmoid(torch.from_numpy(said.astype(np.float32)))


def in_bfloat16(recipe: TrainSettings) -> bool:
    """Tell whether arithmetic is bfloat16: wanted, and had by the hardware."""
    return recipe.bfloat16 and has_bfloat16()


def open_accelerator(settings: TrainSettings) -> Accelerator:
    """Return what places the work: every GPU that torchrun started, else this CPU.

    Arithmetic is bfloat16 where the hardware has it (a step takes half the time); weights stay float32.
    """
    return Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision="bf16" if in_bfloat16(settings) else "no",
    )


def train_seed(settings: Settings, inputs: Inputs, seed: int, accelerator: Accelerator) -> None:
    """Train once; save each checkpoint, and measure its loss on the dev sentences."""
    if checkpoint_path(settings.run_dir, seed, settings.train.n_checkpoints).is_file():
        return  # this seed is done
    torch.manual_seed(seed)
    model = starting_model(settings)
    training = Training(model, inputs, settings, seed, accelerator)
    training.resume()
    training.run()


class Training:
    """One seed's way through the steps. The order of sentences follows from the seed alone."""

    def __init__(
        self,
        model: RiskEncoder,
        inputs: Inputs,
        settings: Settings,
        seed: int,
        accelerator: Accelerator,
    ) -> None:
        recipe = settings.train
        self._inputs, self._recipe, self._run, self._seed = inputs, recipe, settings.run_dir, seed
        self._accelerator = accelerator
        self._order = plan(inputs, recipe, seed, shares=accelerator.num_processes)
        self._n_steps = len(self._order) // accelerator.num_processes
        n_decay = round(self._n_steps * recipe.decay_epochs / recipe.epochs)
        lazy = accelerator.num_processes == 1 and accelerator.device.type == "cpu"
        model.words.sparse = lazy
        self._bare = model
        self._model = accelerator.prepare(model)
        self._optimizers = Optimizers(self._model, recipe, n_decay, lazy_words=lazy)
        self._next = 0
        self._saved_at_s = time.monotonic()

    def run(self) -> None:
        """Do the steps that are left, save at each checkpoint, then forget the resume file."""
        recipe = self._recipe
        stops = {
            round(self._n_steps * k / recipe.n_checkpoints): k
            for k in range(1, recipe.n_checkpoints + 1)
        }
        is_main = self._accelerator.is_main_process
        tracker = Tracker(self._run, self._seed, asdict(recipe)) if is_main else None
        progress = Progress(self._seed, self._n_steps, begin=self._next)
        losses: list[float] = []
        self._model.train()
        for n in range(self._next, self._n_steps):
            loss, norm = self._step(n)
            losses.append(loss)
            self._next = n + 1
            if tracker is None:
                continue
            progress.show(n + 1, losses)
            if n % _LOG_EVERY == 0:
                tracker.step(n, loss=float(np.mean(losses[-50:])), gradient_norm=norm)
            if n + 1 in stops:
                self._checkpoint(stops[n + 1], tracker)
            self._save_now_and_then()
        if tracker is not None:
            tracker.close()
            self._resume_path().unlink(missing_ok=True)
        self._accelerator.wait_for_everyone()

    def resume(self) -> None:
        """Go on from the resume file, where a training was killed."""
        if not self._resume_path().is_file():
            return
        saved = load_state(str(self._resume_path()))
        self._bare.load_state_dict(_part(saved, "model."))
        self._optimizers.restore(_part(saved, "optimizer."))
        torch.set_rng_state(saved["random"])
        self._next = int(saved["next"])
        print(f"seed {self._seed}: going on at step {self._next} of {self._n_steps}", flush=True)

    def save(self) -> None:
        """Write all that the next step depends on; a kill while writing leaves the file before."""
        state = {
            **{f"model.{n}": v for n, v in self._bare.state_dict().items()},
            **{f"optimizer.{n}": v for n, v in self._optimizers.tensors().items()},
            "random": torch.get_rng_state(),
            "next": torch.tensor(self._next),
        }
        part = self._resume_path().with_suffix(".part")
        save_state(str(part), state)
        part.replace(self._resume_path())
        self._saved_at_s = time.monotonic()

    def _step(self, n: int) -> tuple[float, float]:
        """Learn from one batch; return its loss and the norm of its gradient.

        The loss is binary cross-entropy summed over the types and averaged over the batch: averaged
        over the types as well, the gradient of a rare type drowns.
        """
        shares, place = self._accelerator.num_processes, self._accelerator.process_index
        rows = self._order[n * shares + place]
        device = self._accelerator.device
        tokens, mask = padded([self._inputs.ids[i] for i in rows])
        with self._accelerator.autocast():
            logits = self._model(tokens.to(device), mask.to(device))
        y = self._inputs.y[rows].to(device)
        loss = F.binary_cross_entropy_with_logits(logits.float(), y, reduction="sum") / len(rows)
        self._optimizers.zero()
        self._accelerator.backward(loss)
        norm = self._optimizers.step(n)
        return float(loss.detach()), norm

    def _checkpoint(self, k: int, tracker: Tracker) -> None:
        dev_loss = _loss(logits_of(self._bare, self._inputs.dev_ids), self._inputs.dev_y)
        save_file(self._bare.state_dict(), checkpoint_path(self._run, self._seed, k))
        tracker.checkpoint(self._next, dev_loss=dev_loss)
        print(f"\nseed {self._seed}: checkpoint {k}, dev loss {dev_loss:.3f}", flush=True)
        self._model.train()

    def _save_now_and_then(self) -> None:
        if time.monotonic() - self._saved_at_s > 60 * self._recipe.save_every_min:
            self.save()

    def _resume_path(self) -> Path:
        return self._run / f"seed-{self._seed}-resume.safetensors"


def plan(inputs: Inputs, recipe: TrainSettings, seed: int, *, shares: int) -> list[list[int]]:
    """Return the batches of all epochs, as rows, in order; as many as `shares` divides.

    Each epoch takes every sentence that states a risk or was composed, and a fresh random
    `negatives_share` of the others; none of the fold that the seed leaves out.
    """
    rng = random.Random(seed)  # noqa: S311 - shuffling, not secrecy
    lengths = [len(i) for i in inputs.ids]
    left_out = fold_left_out(recipe, seed)
    rows_in = [k for k in range(len(lengths)) if inputs.fold[k] != left_out]
    is_optional_row = set(inputs.optional)
    needed = [k for k in rows_in if k not in is_optional_row]
    optional = [k for k in rows_in if k in is_optional_row]
    n_optional = round(recipe.negatives_share * len(optional))
    order: list[list[int]] = []
    for _ in range(recipe.epochs):
        rows = [*needed, *rng.sample(optional, n_optional)]
        order += batches(rows, lengths, recipe.batch_size, rng)
    return order[: len(order) - len(order) % shares]


def fold_left_out(recipe: TrainSettings, seed: int) -> int | None:
    """Return the fold that a seed does not learn from; None without folds.

    Raises:
        ConfigError: the seeds do not leave out each fold equally often.
    """
    if recipe.folds < 2:
        return None
    if len(recipe.seeds) % recipe.folds:
        raise ConfigError(
            f"[train] names {len(recipe.seeds)} seeds for {recipe.folds} folds: "
            "give a seed for each fold, or a multiple of that."
        )
    return recipe.seeds.index(seed) % recipe.folds


def write_average(
    settings: Settings, inputs: Inputs, dataset: Dataset, neighbours: Mapping[int, list[Floats]]
) -> None:
    """Write <run>/model.safetensors: the mean of all seeds, with the influence that is learned last."""
    state = mean_of_seeds(settings, settings.train.seeds)
    if neighbours:
        state |= influence_on_neighbours(settings, inputs, dataset, state, neighbours)
    save_state(str(model_path(settings.run_dir)), state)


def influence_on_neighbours(
    settings: Settings,
    inputs: Inputs,
    dataset: Dataset,
    state: dict[str, torch.Tensor],
    neighbours: Mapping[int, list[Floats]],
) -> dict[str, torch.Tensor]:
    """Return the learned influence of neighbouring rows, see ml/training/neighbour_heads.py."""
    model = model_of(state, dropout=0.0)
    ids = [inputs.ids[k] for k in neighbours]
    pooled = pooled_of(model, ids, bfloat16=in_bfloat16(settings.train)).numpy()
    logits = np.array([np.mean(scores, axis=0) for scores in neighbours.values()], np.float32)
    examples = [dataset.train[k] for k in neighbours]
    found = neighbour_heads.fit(pooled, logits, targets(examples), examples)
    return {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in found.items()}


def mean_of_seeds(settings: Settings, seeds: Sequence[int]) -> dict[str, torch.Tensor]:
    """Return the mean of the seeds' last checkpoints, drawn towards the start by `keep`."""
    mean = averaged(last_checkpoints(settings.run_dir, replace(settings.train, seeds=list(seeds))))
    start = {n: v.numpy() for n, v in starting_model(settings).state_dict().items()}
    return {n: torch.from_numpy(v) for n, v in blended(mean, start, settings.train.keep).items()}


def write_out_of_fold(settings: Settings, inputs: Inputs, dataset: Dataset) -> None:
    """Score each fold by the seeds that left it out."""
    recipe = settings.train
    logits = np.zeros((len(inputs.ids), len(RISK_TYPES)), np.float32)
    for fold in range(recipe.folds):
        model = starting_model(settings)
        seeds = [seed for seed in recipe.seeds if fold_left_out(recipe, seed) == fold]
        model.load_state_dict(mean_of_seeds(settings, seeds))
        rows = np.flatnonzero(inputs.fold == fold)
        ids = [inputs.ids[k] for k in rows]
        logits[rows] = logits_of(model, ids, bfloat16=in_bfloat16(recipe)).numpy()
    cross_fitting.write(settings.run_dir, [e.text for e in dataset.train], logits)


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def _loss(logits: torch.Tensor, y: torch.Tensor) -> float:
    return float(F.binary_cross_entropy_with_logits(logits, y, reduction="sum") / len(y))


def main() -> None:
    """Run the step with the configuration that the command line names."""
    run_step(run)
