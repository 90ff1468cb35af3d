"""Fine-tune the whole encoder with one linear head: `python -m ml.train ml/configs/riskscan-minilm.toml`.

Trains once for each seed; writes <run>/dataset.json, <run>/seed-<s>.json and
<run>/seed-<s>-checkpoint-<k>.safetensors. The export averages the last checkpoints of all seeds.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch.nn import functional as F  # noqa: N812 - the name the field knows it by

from ml.base import base_dir, pretrained
from ml.checkpoints import checkpoint_path
from ml.dataset import load_dataset, summary, targets
from ml.settings import Settings, TrainSettings, run_step
from service.nlp.encoder import RiskEncoder
from service.nlp.processors import cpu_quota

Ids = list[int]
_POOL = 50
"""Batches whose sentences are sorted together: little padding, yet a fresh mix in each epoch."""


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_length_tokens: int) -> list[Ids]:
    """Return token ids with [CLS] and [SEP]; what is longer loses its end (training only)."""
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    return [i if len(i) <= max_length_tokens else [*i[: max_length_tokens - 1], i[-1]] for i in ids]


def open_tokenizer(path: Path) -> Tokenizer:
    """Open a tokenizer.json without the truncation and padding that the file asks for."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def batches(lengths: Sequence[int], batch_size: int, rng: random.Random) -> Iterator[list[int]]:
    """Yield every index once, in random batches of similar length."""
    order = rng.sample(range(len(lengths)), len(lengths))
    pool = batch_size * _POOL
    cut: list[list[int]] = []
    for begin in range(0, len(order), pool):
        rows = sorted(order[begin : begin + pool], key=lengths.__getitem__)
        cut += [rows[k : k + batch_size] for k in range(0, len(rows), batch_size)]
    rng.shuffle(cut)
    yield from cut


def padded(ids: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return int64 (b, t) token ids, zero where padded, and the mask of the same shape."""
    tokens = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for row, i in enumerate(ids):
        tokens[row, : len(i)] = torch.tensor(i)
        mask[row, : len(i)] = 1
    return tokens, mask


@torch.inference_mode()
def logits_of(model: RiskEncoder, ids: Sequence[Ids], *, batch_size: int = 64) -> torch.Tensor:
    """Return float32 (len(ids), n_risk_types) logits, rows in the order given, dropout off."""
    model.eval()
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    out = torch.zeros(len(ids), model.head.out_features)
    for begin in range(0, len(order), batch_size):
        rows = order[begin : begin + batch_size]
        out[rows] = model(*padded([ids[i] for i in rows])).float()
    return out


class Optimizers:
    """AdamW over everything but the word table, which takes the lazy form of Adam.

    A batch meets some 500 of the 30,522 words. Dense Adam moves all rows at each step, which took
    a third of the step's time (measured on 2 cores, November 2026).
    """

    def __init__(self, model: RiskEncoder, settings: TrainSettings, n_steps: int) -> None:
        model.words.sparse = True
        named = [(n, p) for n, p in model.named_parameters() if n != "words.weight"]
        head = [p for n, p in named if n.startswith("head.")]
        matrices = [p for n, p in named if p.ndim > 1 and not n.startswith("head.")]
        vectors = [p for n, p in named if p.ndim == 1 and not n.startswith("head.")]
        dense = torch.optim.AdamW(
            [
                {
                    "params": matrices,
                    "lr": settings.encoder_lr,
                    "weight_decay": settings.weight_decay,
                },
                {"params": vectors, "lr": settings.encoder_lr, "weight_decay": 0.0},
                {"params": head, "lr": settings.head_lr, "weight_decay": settings.weight_decay},
            ],
            fused=True,
        )
        lazy = torch.optim.SparseAdam([model.words.weight], lr=settings.encoder_lr)
        self._clipped = [p for _, p in named]
        self._clip_norm = settings.clip_norm
        self._all: list[torch.optim.Optimizer] = [dense, lazy]
        warmup = max(1, round(settings.warmup * n_steps))

        def factor(step: int) -> float:
            return min((step + 1) / warmup, max(0.0, (n_steps - step) / (n_steps - warmup + 1)))

        self._schedules = [torch.optim.lr_scheduler.LambdaLR(o, factor) for o in self._all]

    def step(self, loss: torch.Tensor) -> None:
        """Follow the gradient of `loss` once."""
        for optimizer in self._all:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(self._clipped, self._clip_norm)
        for optimizer in self._all:
            optimizer.step()
        for schedule in self._schedules:
            schedule.step()


def fit(
    model: RiskEncoder, ids: Sequence[Ids], y: torch.Tensor, settings: TrainSettings, *, seed: int
) -> Iterator[tuple[int, float]]:
    """Train in place; at each checkpoint yield its number, from 1, and the mean loss since the last.

    The loss is binary cross-entropy summed over the types and averaged over the batch: averaged over
    the types as well, the gradient of a rare type drowns.
    """
    torch.manual_seed(seed)
    rng = random.Random(seed)  # noqa: S311 - shuffling, not secrecy
    lengths = [len(i) for i in ids]
    order = [
        rows for _ in range(settings.epochs) for rows in batches(lengths, settings.batch_size, rng)
    ]
    stops = {
        round(len(order) * k / settings.n_checkpoints): k
        for k in range(1, settings.n_checkpoints + 1)
    }
    n_decay = len(order) * settings.decay_epochs // settings.epochs
    optimizers = Optimizers(model, settings, n_decay)
    progress = Progress(seed, len(order))
    losses: list[float] = []
    model.train()
    for step, rows in enumerate(order, start=1):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.bfloat16):
            logits = model(*padded([ids[i] for i in rows]))
        loss = F.binary_cross_entropy_with_logits(logits.float(), y[rows], reduction="sum") / len(
            rows
        )
        optimizers.step(loss)
        losses.append(loss.item())
        progress.show(step, losses)
        if step in stops:
            yield stops[step], float(np.mean(losses))
            losses.clear()
            model.train()


class Progress:
    """A line on stderr: the seed, steps done, the mean of the last 50 losses, minutes left."""

    def __init__(self, seed: int, n_steps: int) -> None:
        self._seed = seed
        self._n_steps = n_steps
        self._began_s = time.monotonic()

    def show(self, step: int, losses: list[float]) -> None:
        """Redraw the line at every tenth step and the last."""
        if step % 10 and step != self._n_steps:
            return
        left_s = (time.monotonic() - self._began_s) / step * (self._n_steps - step)
        bar = "#" * (30 * step // self._n_steps)
        sys.stderr.write(
            f"\rseed {self._seed} [{bar:<30}] {step}/{self._n_steps} "
            f"loss {np.mean(losses[-50:]):.3f} {left_s / 60:.1f} min left "
        )
        sys.stderr.flush()


def train_seed(settings: Settings, seed: int) -> None:
    """Train once; save each checkpoint, and measure its loss on the dev sentences."""
    train, run = settings.train, settings.run_dir
    torch.set_num_threads(train.n_threads)
    dataset = load_dataset(settings.data)
    tokenizer = open_tokenizer(base_dir(settings.base) / "tokenizer.json")
    ids = encode(tokenizer, [e.text for e in dataset.train], train.max_length_tokens)
    dev_ids = encode(tokenizer, [e.text for e in dataset.dev], train.max_length_tokens)
    y, dev_y = torch.from_numpy(targets(dataset.train)), torch.from_numpy(targets(dataset.dev))
    model = pretrained(settings.base, dropout=train.dropout)
    began_s = time.monotonic()
    rows = []
    for k, loss in fit(model, ids, y, train, seed=seed):
        dev_loss = _loss(logits_of(model, dev_ids), dev_y)
        minutes = (time.monotonic() - began_s) / 60
        rows.append({"checkpoint": k, "loss": loss, "dev_loss": dev_loss, "minutes": minutes})
        save_file(model.state_dict(), checkpoint_path(run, seed, k))
        write_json(run / f"seed-{seed}.json", {"settings": asdict(train), "checkpoints": rows})
        print(
            f"\nseed {seed}: loss {loss:.3f}, dev loss {dev_loss:.3f}, {minutes:.1f} min",
            flush=True,
        )


def main(settings: Settings) -> None:
    """Train once for each seed, side by side where the processors suffice."""
    write_json(settings.run_dir / "dataset.json", summary(load_dataset(settings.data)))
    train = settings.train
    n_workers = max(1, min(len(train.seeds), cpu_quota() // train.n_threads))
    with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(train_seed, repeat(settings), train.seeds))


def _loss(logits: torch.Tensor, y: torch.Tensor) -> float:
    return float(F.binary_cross_entropy_with_logits(logits, y, reduction="sum") / len(y))


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a value to a file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_step(main)
