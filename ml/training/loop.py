"""The training loop: one seed's steps, checkpoints, and resuming after a kill."""

from __future__ import annotations

import random
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from safetensors.torch import save_file
from torch.nn import functional as F  # noqa: N812 - the name the field knows it by

from ml.settings import Settings, TrainSettings
from ml.training.batches import batches, in_bfloat16, model_logits, padded
from ml.training.checkpoints import checkpoint_path
from ml.training.cross_fitting import held_out_fold
from ml.training.inputs import Inputs
from ml.training.optimizers import Optimizers, load_state, save_state
from ml.training.pretrained import starting_model
from ml.training.tracking import Progress, Tracker
from service.nlp.inference.encoder import RiskEncoder

_LOG_EVERY = 20


def open_accelerator(settings: TrainSettings) -> Accelerator:
    """Return the accelerator: every GPU that torchrun started, else this CPU.

    Computes in bfloat16 if the hardware has it, which halves the time of a step; weights stay float32.
    """
    return Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision="bf16" if in_bfloat16(settings) else "no",
    )


def train_seed(settings: Settings, inputs: Inputs, seed: int, accelerator: Accelerator) -> None:
    """Train one seed; save each checkpoint, and measure its loss on the dev sentences."""
    if checkpoint_path(settings.run_dir, seed, settings.train.n_checkpoints).is_file():
        return  # finished by an earlier run
    torch.manual_seed(seed)
    model = starting_model(settings)
    training = Training(model, inputs, settings, seed, accelerator)
    training.resume()
    training.run()


class Training:
    """One seed's training. The order of sentences depends on the seed alone."""

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
        self._next_step = 0
        self._saved_at_s = time.monotonic()

    def run(self) -> None:
        """Run the remaining steps, save each checkpoint, then delete the resume file."""
        recipe = self._recipe
        stops = {
            round(self._n_steps * k / recipe.n_checkpoints): k
            for k in range(1, recipe.n_checkpoints + 1)
        }
        is_main = self._accelerator.is_main_process
        tracker = Tracker(self._run, self._seed, asdict(recipe)) if is_main else None
        progress = Progress(self._seed, self._n_steps, begin=self._next_step)
        losses: list[float] = []
        self._model.train()
        for n in range(self._next_step, self._n_steps):
            loss, norm = self._step(n)
            losses.append(loss)
            self._next_step = n + 1
            if tracker is None:
                continue
            progress.show(n + 1, losses)
            if n % _LOG_EVERY == 0:
                tracker.step(n, loss=float(np.mean(losses[-50:])), gradient_norm=norm)
            if n + 1 in stops:
                self._checkpoint(stops[n + 1], tracker)
            self._save_if_due()
        if tracker is not None:
            tracker.close()
            self._resume_path().unlink(missing_ok=True)
        self._accelerator.wait_for_everyone()

    def resume(self) -> None:
        """Continue from the resume file, if a training was killed."""
        if not self._resume_path().is_file():
            return
        saved = load_state(str(self._resume_path()))
        self._bare.load_state_dict(_part(saved, "model."))
        self._optimizers.restore(_part(saved, "optimizer."))
        torch.set_rng_state(saved["random"])
        self._next_step = int(saved["next"])
        print(
            f"seed {self._seed}: resuming at step {self._next_step} of {self._n_steps}", flush=True
        )

    def save(self) -> None:
        """Write the state that the next step depends on; a kill while writing leaves the previous file."""
        state = {
            **{f"model.{n}": v for n, v in self._bare.state_dict().items()},
            **{f"optimizer.{n}": v for n, v in self._optimizers.tensors().items()},
            "random": torch.get_rng_state(),
            "next": torch.tensor(self._next_step),
        }
        part = self._resume_path().with_suffix(".part")
        save_state(str(part), state)
        part.replace(self._resume_path())
        self._saved_at_s = time.monotonic()

    def _step(self, n: int) -> tuple[float, float]:
        """Train on one batch; return its loss and the norm of its gradient.

        The loss is binary cross-entropy summed over the types and averaged over the batch: a mean over the
        types would drown the gradient of a rare type.
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
        dev_loss = _loss(model_logits(self._bare, self._inputs.dev_ids), self._inputs.dev_y)
        save_file(self._bare.state_dict(), checkpoint_path(self._run, self._seed, k))
        tracker.checkpoint(self._next_step, dev_loss=dev_loss)
        print(f"\nseed {self._seed}: checkpoint {k}, dev loss {dev_loss:.3f}", flush=True)
        self._model.train()

    def _save_if_due(self) -> None:
        if time.monotonic() - self._saved_at_s > 60 * self._recipe.save_every_min:
            self.save()

    def _resume_path(self) -> Path:
        return self._run / f"seed-{self._seed}-resume.safetensors"


def plan(inputs: Inputs, recipe: TrainSettings, seed: int, *, shares: int) -> list[list[int]]:
    """Return the batches of all epochs, as rows, in order; their number is a multiple of `shares`.

    Each epoch has every sentence that states a risk or was composed, and a new random `negatives_share` of
    the others, all without the fold that the seed holds out.
    """
    rng = random.Random(seed)  # noqa: S311 - shuffling, not secrecy
    lengths = [len(i) for i in inputs.ids]
    held_out = held_out_fold(recipe, seed)
    rows_in = [k for k in range(len(lengths)) if inputs.fold[k] != held_out]
    is_optional_row = set(inputs.optional_rows)
    needed = [k for k in rows_in if k not in is_optional_row]
    optional = [k for k in rows_in if k in is_optional_row]
    n_optional = round(recipe.negatives_share * len(optional))
    order: list[list[int]] = []
    for _ in range(recipe.epochs):
        rows = [*needed, *rng.sample(optional, n_optional)]
        order += batches(rows, lengths, recipe.batch_size, rng)
    return order[: len(order) - len(order) % shares]


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def _loss(logits: torch.Tensor, y: torch.Tensor) -> float:
    return float(F.binary_cross_entropy_with_logits(logits, y, reduction="sum") / len(y))
