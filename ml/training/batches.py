"""Sentences as token ids, and batches of them with little padding."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from ml.settings import TrainSettings
from service.nlp.inference.network import Network

Ids = list[int]
_SCORED_AT_ONCE = 64
_POOL = 50
"""Batches per sorting pool: sorting by length saves padding, a pool keeps each epoch's batches random."""


def open_tokenizer(path: Path) -> Tokenizer:
    """Open a tokenizer.json without the truncation and padding that it configures."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str], max_length_tokens: int) -> list[Ids]:
    """Return token ids with the special tokens; longer sentences lose their end (training only)."""
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    return [i if len(i) <= max_length_tokens else [*i[: max_length_tokens - 1], i[-1]] for i in ids]


def batches(
    rows: Sequence[int], lengths: Sequence[int], batch_size: int, rng: random.Random
) -> Iterator[list[int]]:
    """Yield each of `rows` once, in random batches of similar length."""
    order = rng.sample(list(rows), len(rows))
    pool = batch_size * _POOL
    cut: list[list[int]] = []
    for begin in range(0, len(order), pool):
        near = sorted(order[begin : begin + pool], key=lengths.__getitem__)
        cut += [near[k : k + batch_size] for k in range(0, len(near), batch_size)]
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


def has_bfloat16() -> bool:
    """Return whether the GPU, or without one this CPU, computes in bfloat16 natively."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def in_bfloat16(recipe: TrainSettings) -> bool:
    """Return whether to compute in bfloat16: the recipe asks for it, and the hardware has it."""
    return recipe.bfloat16 and has_bfloat16()


def model_logits(model: Network, ids: Sequence[Ids], *, bfloat16: bool = False) -> torch.Tensor:
    """Return float32 (len(ids), n_risk_types) logits on the CPU, rows in the order given, dropout off.

    With `bfloat16` they are accurate to two digits, and take a third of the time if the hardware has it.
    """
    return in_batches(model, model.forward, model.head.out_features, ids, bfloat16=bfloat16)


def pooled_vectors(model: Network, ids: Sequence[Ids], *, bfloat16: bool = False) -> torch.Tensor:
    """Return float32 (len(ids), hidden), the inputs of the head; otherwise as `model_logits`."""
    return in_batches(model, model.pooled, model.head.in_features, ids, bfloat16=bfloat16)


def logits_and_vectors(
    model: Network, ids: Sequence[Ids], *, bfloat16: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the results of `model_logits` and `pooled_vectors`, computed together."""

    def forward(tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        pooled = model.pooled(tokens, mask)
        return torch.cat([model.logits(pooled), pooled], dim=1)

    n_labels, hidden = model.head.out_features, model.head.in_features
    both = in_batches(model, forward, n_labels + hidden, ids, bfloat16=bfloat16)
    return both[:, :n_labels], both[:, n_labels:]


@torch.inference_mode()
def in_batches(
    model: Network,
    forward: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    width: int,
    ids: Sequence[Ids],
    *,
    bfloat16: bool,
) -> torch.Tensor:
    """Return float32 (len(ids), width) on the CPU: `forward` of each sentence, rows in the order given."""
    model.eval()
    device = next(model.parameters()).device
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    out = torch.zeros(len(ids), width)
    for begin in range(0, len(order), _SCORED_AT_ONCE):
        rows = order[begin : begin + _SCORED_AT_ONCE]
        tokens, mask = padded([ids[i] for i in rows])
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            out[rows] = forward(tokens.to(device), mask.to(device)).float().cpu()
    return out
