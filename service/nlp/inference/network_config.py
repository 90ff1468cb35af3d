"""The artifact's config.json: architecture and sizes of the network. Imports no model library.

The weights file of a "bert" or "mpnet" network has our own tensor names, which the CPU graph and torch share:
`words.weight`, `positions.weight` (row 0 is the first token's), `embedding_norm.*`,
`layers.N.{qkv,attention_out,attention_norm,ffn_in,ffn_out,ffn_norm}.*`, `relative.weight` (buckets, n_heads)
of mpnet alone, `head.*`, and `influence.*` if the network has it. Any other architecture keeps the names of
transformers, after `encoder.`, beside `head.*` and `influence.*`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Pooling = Literal["mean", "first"]

BERT, MPNET = "bert", "mpnet"


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Architecture and sizes of the network; one of another architecture has 0 for a size that it lacks."""

    n_labels: int
    influence: bool = False
    """Whether the network has the second head, for influence on neighbours (neighbour_context.py)."""
    hidden_size: int = 384
    intermediate_size: int = 1536
    n_layers: int = 6
    n_heads: int = 12
    vocab_size: int = 30522
    max_positions: int = 512
    """Rows of `positions.weight`, so the longest input in tokens."""
    layer_norm_eps: float = 1e-12
    dropout: float = 0.1
    architecture: str = BERT
    """`model_type` in transformers."""
    pooling: Pooling = "mean"
    """The head's input: the mean of the last layer over the tokens, or tanh(2 x) of its first token."""
    transformers: Mapping[str, Any] | None = None
    """The configuration of transformers for an architecture other than bert and mpnet."""

    @property
    def vector_layers(self) -> tuple[int, int] | None:
        """The layers, from 0, whose tokens have the meaning of a sentence; None if the network is too small.

        They are the first, which is near the words, and the last but one: the last has been trained for
        risk types alone. On 60 questions over 424 sentences (tests/bench/search_queries.jsonl), these two
        find 0.80 of the answers among the first ten; single layers of riskscan-fast 1.2.0 find 0.63 to 0.75.
        """
        return (0, self.n_layers - 2) if self.n_layers > 2 else None

    @property
    def has_own_names(self) -> bool:
        """Whether the weights file has our own tensor names."""
        return self.transformers is None


def read_network_config(path: Path) -> NetworkConfig:
    """Read a config.json. Older ones lack architecture and pooling: they have the defaults."""
    return NetworkConfig(**json.loads(path.read_text(encoding="utf-8")))
