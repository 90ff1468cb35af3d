"""The training loop: one seed's steps, checkpoints, and resuming after a kill."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch.nn import functional as F  # noqa: N812 - the name the field knows it by

from ml.settings import Settings, TrainSettings
from ml.training.batches import batches, in_bfloat16, model_logits, padded
from ml.training.checkpoints import checkpoint_path
from ml.training.cross_fitting import held_out_fold
from ml.training.inputs import Inputs
from ml.training.last_layer import LastLayer
from ml.training.optimizers import Optimizers, load_state, save_state
from ml.training.pupil import Pupil, vector_loss
from ml.training.tracking import Progress, Tracker
from ml.training.trainable import merged_state, prepare
from ml.training.trained_models import starting_network
from service.errors import ConfigError
from service.nlp.inference.network import Network

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
    """Train one seed; save each checkpoint, and measure its loss on the dev sentences.

    Raises:
        ConfigError: there are fewer steps than checkpoints.
    """
    if checkpoint_path(settings.run_dir, seed, settings.train.n_checkpoints).is_file():
        return  # finished by an earlier run
    torch.manual_seed(seed)
    model = starting_network(settings)
    training = Training(model, inputs, settings, seed, accelerator)
    training.resume()
    training.run()


class Training:
    """One seed's training.

    The order of sentences depends on the seed alone; dropout and variation depend on the seed and the number
    of the batch. So a resumed training ends with the same weights.
    """

    def __init__(
        self,
        model: Network,
        inputs: Inputs,
        settings: Settings,
        seed: int,
        accelerator: Accelerator,
    ) -> None:
        recipe = settings.train
        self._inputs, self._recipe, self._run, self._seed = inputs, recipe, settings.run_dir, seed
        self._accelerator = accelerator
        shares = accelerator.num_processes * recipe.gradient_accumulation
        self._order = plan(inputs, recipe, seed, shares=shares)
        self._n_steps = len(self._order) // shares
        if self._n_steps < recipe.n_checkpoints:
            raise ConfigError(
                f"The training has {self._n_steps} steps, too few for {recipe.n_checkpoints} checkpoints: "
                "lower n_checkpoints and n_averaged under [train], or add sentences or epochs."
            )
        n_decay = round(self._n_steps * recipe.decay_epochs / recipe.epochs)
        prepare(model, recipe)
        pupil: Pupil | LastLayer
        if inputs.first_vectors is not None:
            pupil = LastLayer(model)
        else:
            pupil = Pupil(model, 0 if inputs.vectors is None else inputs.vectors.shape[1])
        alone = accelerator.num_processes == 1 and accelerator.device.type == "cpu"
        lazy = alone and model.words.weight.requires_grad
        model.words.sparse = lazy
        self._bare, self._projection = model, pupil.projection
        self._model = accelerator.prepare(pupil)
        beside = pupil.projection.parameters() if pupil.projection else ()
        self._optimizers = Optimizers(model, recipe, n_decay, lazy_words=lazy, beside=beside)
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
        self._bare.load_state_dict(_part(saved, "model."), strict=False)
        if self._projection is not None:
            self._projection.load_state_dict(_part(saved, "projection."))
        self._optimizers.restore(_part(saved, "optimizer."))
        self._next_step = int(saved["next"])
        print(
            f"seed {self._seed}: resuming at step {self._next_step} of {self._n_steps}", flush=True
        )

    def save(self) -> None:
        """Write the state that the next step depends on; a kill while writing leaves the previous file."""
        state = {
            **{f"model.{n}": p.detach() for n, p in self._trained().items()},
            **({"projection.weight": self._projection.weight.detach()} if self._projection else {}),
            **{f"optimizer.{n}": v for n, v in self._optimizers.tensors().items()},
            "next": torch.tensor(self._next_step),
        }
        part = self._resume_path().with_suffix(".part")
        save_state(str(part), state)
        part.replace(self._resume_path())
        self._saved_at_s = time.monotonic()

    def _step(self, n: int) -> tuple[float, float]:
        """Train on the batches of one step; return their mean loss and the norm of its gradient."""
        self._optimizers.zero()
        parts = range(self._recipe.gradient_accumulation)
        losses = [self._add_gradient(n, part) for part in parts]
        return float(np.mean(losses)), self._optimizers.step(n)

    def _add_gradient(self, n: int, part: int) -> float:
        """Add the gradient of a batch, the `part`-th of step `n`; return its loss.

        The loss is binary cross-entropy summed over the types and averaged over the batch: a mean over the
        types would drown the gradient of a rare type. The vectors' loss is averaged over the batch, too.
        """
        accelerator, parts = self._accelerator, self._recipe.gradient_accumulation
        batch = (n * parts + part) * accelerator.num_processes + accelerator.process_index
        rng = random.Random(f"{self._seed}-{batch}")  # noqa: S311 - variation, not secrecy
        torch.manual_seed(rng.getrandbits(63))
        rows = self._order[batch]
        read = [t.to(accelerator.device) for t in self._read(rows, rng)]
        y = self._inputs.y[rows].to(accelerator.device)
        waits = part < parts - 1  # several processes exchange gradients once a step
        with accelerator.no_sync(self._model) if waits else nullcontext():
            with accelerator.autocast():
                logits, projected = self._model(*read)
            loss = F.binary_cross_entropy_with_logits(logits.float(), y, reduction="sum") / len(
                rows
            )
            if self._inputs.vectors is not None:
                taught = self._inputs.vectors[rows].to(accelerator.device)
                loss = loss + self._recipe.vector_weight * vector_loss(projected, taught)
            accelerator.backward(loss / parts)
        return float(loss.detach())

    def _read(self, rows: list[int], rng: random.Random) -> Sequence[torch.Tensor]:
        """Return what the trained part reads of the rows: its arguments."""
        if self._inputs.first_vectors is not None:
            return [self._inputs.first_vectors[rows]]
        return padded(self._inputs.batch(rows, rng))

    def _checkpoint(self, k: int, tracker: Tracker) -> None:
        fast = in_bfloat16(self._recipe)
        logits = model_logits(self._bare, self._inputs.dev_ids, bfloat16=fast)
        dev_loss = _loss(logits, self._inputs.dev_y)
        save_state(str(checkpoint_path(self._run, self._seed, k)), merged_state(self._bare))
        tracker.checkpoint(self._next_step, dev_loss=dev_loss)
        print(f"\nseed {self._seed}: checkpoint {k}, dev loss {dev_loss:.3f}", flush=True)
        self._model.train()

    def _trained(self) -> dict[str, torch.nn.Parameter]:
        return {n: p for n, p in self._bare.named_parameters() if p.requires_grad}

    def _save_if_due(self) -> None:
        if time.monotonic() - self._saved_at_s > 60 * self._recipe.save_every_min:
            self.save()

    def _resume_path(self) -> Path:
        return self._run / f"seed-{self._seed}-resume.safetensors"


def plan(inputs: Inputs, recipe: TrainSettings, seed: int, *, shares: int) -> list[list[int]]:
    """Return the batches of all epochs, as rows, in order; their number is a multiple of `shares`.

    Each epoch has every real sentence that states a risk, a new random `negatives_share` of the other real
    ones, `composed_share` of the composed and `unlabelled_share` of the unlabelled, without the fold that the
    seed holds out.
    """
    rng = random.Random(seed)  # noqa: S311 - shuffling, not secrecy
    lengths = [len(i) for i in inputs.ids]
    held_out = held_out_fold(recipe, seed)
    rows_in = [k for k in range(len(lengths)) if inputs.fold[k] != held_out]
    sampled = [
        (inputs.optional_rows, recipe.negatives_share),
        (inputs.composed_rows, recipe.composed_share),
        (inputs.unlabelled_rows, recipe.unlabelled_share),
    ]
    not_always = {row for rows, _ in sampled for row in rows}
    needed = [k for k in rows_in if k not in not_always]
    kept = set(rows_in)
    pools = [([k for k in rows if k in kept], share) for rows, share in sampled]
    order: list[list[int]] = []
    for _ in range(recipe.epochs):
        chosen = [k for pool, share in pools for k in rng.sample(pool, round(share * len(pool)))]
        order += batches([*needed, *chosen], lengths, recipe.batch_size, rng)
    return order[: len(order) - len(order) % shares]


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)}


def _loss(logits: torch.Tensor, y: torch.Tensor) -> float:
    return float(F.binary_cross_entropy_with_logits(logits, y, reduction="sum") / len(y))
