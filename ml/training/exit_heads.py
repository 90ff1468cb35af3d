"""Fit the heads of an exit: small maps from the vector in the middle of the network to what it will say.

They learn from the network's own outputs, so sentences need no labels, and the network is not trained again.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name the field knows it by

from service.nlp.arrays import Floats

_HIDDEN = 128
_EPOCHS = 4
_BATCH = 256
_RATE = 1e-3
_DROPOUT = 0.2


def fit(vectors: Floats, risk: Floats, influence: Floats) -> dict[str, Floats]:
    """Return the tensors of EXIT_FILE.

    `vectors` is float32 (n, hidden), `risk` (n,) the risk score that the whole network gives, and
    `influence` (n, width) its influence on neighbours, of width 0 if it has none. The exit score is the logit
    of the expected risk score. The influence is learned from the half with the lowest exit scores, since only
    such sentences leave: its error among them is 0.57 of its spread, 0.62 if all sentences count
    (riskscan-fast 1.5.0, November 2026). Too few sentences for that all count.
    """
    tensors = _score_head(vectors, risk)
    if influence.shape[1]:
        scores = exit_scores(tensors, vectors)
        inputs = np.concatenate([vectors, np.ones((len(vectors), 1), np.float32)], axis=1)
        low = scores <= (np.median(scores) if len(inputs) > 4 * inputs.shape[1] else np.inf)
        maps = np.linalg.lstsq(inputs[low], influence[low])[0].astype(np.float32)
        tensors["exit.influence.weight"] = np.ascontiguousarray(maps[:-1].T)
        tensors["exit.influence.bias"] = maps[-1].copy()
    return tensors


def exit_scores(tensors: dict[str, Floats], vectors: Floats) -> Floats:
    """Return the exit score of each vector, float32 (n,); the graph computes the same."""
    hidden = vectors @ tensors["exit.hidden.weight"].T + tensors["exit.hidden.bias"]
    scores: Floats = np.maximum(hidden, 0) @ tensors["exit.score.weight"].T
    return (scores + tensors["exit.score.bias"])[:, 0]


def _score_head(vectors: Floats, risk: Floats) -> dict[str, Floats]:
    mean, spread = vectors.mean(axis=0), vectors.std(axis=0) + 1e-6
    inputs, wanted = torch.from_numpy((vectors - mean) / spread), torch.from_numpy(risk)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hidden, score = nn.Linear(inputs.shape[1], _HIDDEN), nn.Linear(_HIDDEN, 1)
        _train(hidden, score, inputs, wanted)
    weight = hidden.weight.detach().numpy() / spread  # so the head takes vectors as they are
    return {
        "exit.hidden.weight": weight.astype(np.float32),
        "exit.hidden.bias": (hidden.bias.detach().numpy() - weight @ mean).astype(np.float32),
        "exit.score.weight": score.weight.detach().numpy().copy(),
        "exit.score.bias": score.bias.detach().numpy().copy(),
    }


def _train(hidden: nn.Linear, score: nn.Linear, inputs: torch.Tensor, wanted: torch.Tensor) -> None:
    parameters = [*hidden.parameters(), *score.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=_RATE, weight_decay=0.01)
    n_steps = _EPOCHS * -(-len(inputs) // _BATCH)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=n_steps)
    for _ in range(_EPOCHS):
        for rows in torch.split(torch.randperm(len(inputs)), _BATCH):
            activations = F.dropout(torch.relu(hidden(inputs[rows])), _DROPOUT)
            loss = F.binary_cross_entropy_with_logits(score(activations)[:, 0], wanted[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
            optimizer.step()
            schedule.step()
