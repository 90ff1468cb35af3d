"""Converts the weights of BERT and MPNet between our tensor names and those of transformers.

network_config.py lists our names. Both directions take the tensors of the encoder alone, without head and
influence. Imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from service.nlp.inference.network_config import MPNET, NetworkConfig

MPNET_POSITION_OFFSET = 2
"""MPNet's position table begins with two rows that no token uses."""
TOKEN_TYPES = 2

_Names = Mapping[str, str]
_FFN = {
    "ffn_in": "intermediate.dense",
    "ffn_out": "output.dense",
    "ffn_norm": "output.LayerNorm",
}
_BERT_LAYER: _Names = {
    "attention_out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    **_FFN,
}
_MPNET_LAYER: _Names = {
    "attention_out": "attention.attn.o",
    "attention_norm": "attention.LayerNorm",
    **_FFN,
}
_WORDS = "embeddings.word_embeddings.weight"
_POSITIONS = "embeddings.position_embeddings.weight"
_SEGMENTS = "embeddings.token_type_embeddings.weight"
_RELATIVE = "encoder.relative_attention_bias.weight"


def to_ours(theirs: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """Return the tensors under our names; those of transformers that we do not have (poolers) are left out.

    Positions lose MPNet's offset, and gain BERT's first token type: we never send a second sentence.
    """
    state = {"words.weight": theirs[_WORDS]}
    if config.architecture == MPNET:
        state["positions.weight"] = theirs[_POSITIONS][MPNET_POSITION_OFFSET:]
        state["relative.weight"] = theirs[_RELATIVE]
    else:
        state["positions.weight"] = theirs[_POSITIONS] + theirs[_SEGMENTS][0]
    for our, their in _plain_names(config).items():
        state[our] = theirs[their]
    for our, parts in _fused_names(config).items():
        state[our] = torch.cat([theirs[part] for part in parts])
    return state


def to_transformers(ours: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """Return the tensors under the names that BertModel or MPNetModel has without a pooler.

    The token types become zeros, as do the two rows before MPNet's positions.
    """
    positions, hidden = ours["positions.weight"], config.hidden_size
    state = {_WORDS: ours["words.weight"]}
    if config.architecture == MPNET:
        unused = positions.new_zeros(MPNET_POSITION_OFFSET, hidden)
        state[_POSITIONS] = torch.cat([unused, positions])
        state[_RELATIVE] = ours["relative.weight"]
    else:
        state[_POSITIONS] = positions
        state[_SEGMENTS] = positions.new_zeros(TOKEN_TYPES, hidden)
    for our, their in _plain_names(config).items():
        state[their] = ours[our]
    for our, parts in _fused_names(config).items():
        state |= dict(zip(parts, ours[our].chunk(3), strict=True))
    return state


def _plain_names(config: NetworkConfig) -> dict[str, str]:
    """Return their name by ours, for tensors that are equal."""
    layer = _MPNET_LAYER if config.architecture == MPNET else _BERT_LAYER
    names = {"embedding_norm": "embeddings.LayerNorm"}
    for n in range(config.n_layers):
        names |= {f"layers.{n}.{our}": f"encoder.layer.{n}.{their}" for our, their in layer.items()}
    return {f"{o}.{kind}": f"{t}.{kind}" for o, t in names.items() for kind in ("weight", "bias")}


def _fused_names(config: NetworkConfig) -> dict[str, list[str]]:
    """Return the names of query, key and value by the name of ours, which has their rows in this order."""
    if config.architecture == MPNET:
        attention, parts = "attention.attn", ("q", "k", "v")
    else:
        attention, parts = "attention.self", ("query", "key", "value")
    return {
        f"layers.{n}.qkv.{kind}": [f"encoder.layer.{n}.{attention}.{p}.{kind}" for p in parts]
        for n in range(config.n_layers)
        for kind in ("weight", "bias")
    }
