"""The transformer in plain torch: BERT layers, mean pooling, linear heads. Imports torch.

Training (ml) and the CUDA engine share this class, so they cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """Sizes of the network, as in the artifact's config.json."""

    n_labels: int
    influence: bool = False
    """Whether the network has the second head, for influence on neighbours (neighbour_context.py)."""
    hidden_size: int = 384
    intermediate_size: int = 1536
    n_layers: int = 6
    n_heads: int = 12
    vocab_size: int = 30522
    max_positions: int = 512
    layer_norm_eps: float = 1e-12
    dropout: float = 0.1


class Layer(nn.Module):
    """One post-norm BERT layer, with query, key and value in one matrix."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.n_heads = config.n_heads
        self.dropout = config.dropout
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.attention_out = nn.Linear(hidden, hidden)
        self.attention_norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)
        self.ffn_in = nn.Linear(hidden, config.intermediate_size)
        self.ffn_out = nn.Linear(config.intermediate_size, hidden)
        self.ffn_norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (b, t, hidden) to (b, t, hidden); `mask` is bool (b, 1, 1, t), true where tokens are."""
        attended = self._drop(self.attention_out(self._attend(x, mask)))
        x = self.attention_norm(x + attended)
        fed = self._drop(self.ffn_out(F.gelu(self.ffn_in(x))))
        return self.ffn_norm(x + fed)  # type: ignore[no-any-return]  # nn.Module.__call__ is untyped

    def _attend(self, x: Tensor, mask: Tensor) -> Tensor:
        b, t, hidden = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        p = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
        return mixed.transpose(1, 2).reshape(b, t, hidden)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout, self.training)


class RiskEncoder(nn.Module):
    """Token ids to one logit per risk type: BERT (arXiv:1810.04805), mean pooling over tokens, a linear head.

    A second head, `influence`, maps the pooled vector, scaled to length 1, to the influence on neighbours.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.dropout = config.dropout
        self.words = nn.Embedding(config.vocab_size, hidden)
        self.positions = nn.Embedding(config.max_positions, hidden)
        self.embedding_norm = nn.LayerNorm(hidden, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.n_layers))
        self.head = nn.Linear(hidden, config.n_labels)
        self.influence = nn.Linear(hidden, 2 * config.n_labels) if config.influence else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return float (b, n_labels) logits for int64 (b, t) ids and a (b, t) mask of zeros and ones."""
        return self.head(self.pooled(input_ids, attention_mask))  # type: ignore[no-any-return]  # nn.Module.__call__ is untyped

    @property
    def n_outputs(self) -> int:
        """Width of `outputs`."""
        return self.head.out_features * (1 if self.influence is None else 3)

    def outputs(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the logits, and the influence on neighbours if the network has it.

        float (b, n_labels) or (b, 3 * n_labels), for arguments as in `forward`.
        """
        pooled = self.pooled(input_ids, attention_mask)
        logits: Tensor = self.head(pooled)
        if self.influence is None:
            return logits
        return torch.cat([logits, self.influence(F.normalize(pooled, dim=1))], dim=1)

    def pooled(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the mean of the last layer over the tokens, float (b, hidden)."""
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        x = self.embedding_norm(self.words(input_ids) + self.positions(places))
        x = F.dropout(x, self.dropout, self.training)
        mask = attention_mask[:, None, None, :].bool()
        for layer in self.layers:
            x = layer(x, mask)
        weights = attention_mask.unsqueeze(-1).to(x.dtype)
        mean: Tensor = (x * weights).sum(1) / weights.sum(1)
        return mean
