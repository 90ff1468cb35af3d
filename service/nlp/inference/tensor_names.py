"""The names of the weights of BERT and MPNet: ours, and those of transformers. Needs no torch.

network_config.py lists our names. All are of the encoder alone, without head and influence.
"""

from __future__ import annotations

from collections.abc import Mapping

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
WORDS = "embeddings.word_embeddings.weight"
POSITIONS = "embeddings.position_embeddings.weight"
SEGMENTS = "embeddings.token_type_embeddings.weight"
RELATIVE = "encoder.relative_attention_bias.weight"


def plain_names(config: NetworkConfig) -> dict[str, str]:
    """Return their name by ours, for tensors that are equal, but for words, positions and MPNet's buckets."""
    layer = _MPNET_LAYER if config.architecture == MPNET else _BERT_LAYER
    names = {"embedding_norm": "embeddings.LayerNorm"}
    for n in range(config.n_layers):
        names |= {f"layers.{n}.{our}": f"encoder.layer.{n}.{their}" for our, their in layer.items()}
    return {f"{o}.{kind}": f"{t}.{kind}" for o, t in names.items() for kind in ("weight", "bias")}


def fused_names(config: NetworkConfig) -> dict[str, list[str]]:
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
