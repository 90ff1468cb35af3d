"""Converts the weights of BERT and MPNet between our tensor names and those of transformers.

Both directions take the tensors of the encoder alone, without head and influence. Imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from service.nlp.inference.network_config import MPNET, NetworkConfig
from service.nlp.inference.tensor_names import (
    MPNET_POSITION_OFFSET,
    POSITIONS,
    RELATIVE,
    SEGMENTS,
    TOKEN_TYPES,
    WORDS,
    fused_names,
    plain_names,
)


def to_ours(theirs: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """Return the tensors under our names; those of transformers that we do not have (poolers) are left out.

    Positions lose MPNet's offset, and gain BERT's first token type: we never send a second sentence.
    """
    state = {"words.weight": theirs[WORDS]}
    if config.architecture == MPNET:
        state["positions.weight"] = theirs[POSITIONS][MPNET_POSITION_OFFSET:]
        state["relative.weight"] = theirs[RELATIVE]
    else:
        state["positions.weight"] = theirs[POSITIONS] + theirs[SEGMENTS][0]
    for our, their in plain_names(config).items():
        state[our] = theirs[their]
    for our, parts in fused_names(config).items():
        state[our] = torch.cat([theirs[part] for part in parts])
    return state


def to_transformers(ours: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """Return the tensors under the names that BertModel or MPNetModel has without a pooler.

    The token types become zeros, as do the two rows before MPNet's positions.
    """
    positions, hidden = ours["positions.weight"], config.hidden_size
    state = {WORDS: ours["words.weight"]}
    if config.architecture == MPNET:
        unused = positions.new_zeros(MPNET_POSITION_OFFSET, hidden)
        state[POSITIONS] = torch.cat([unused, positions])
        state[RELATIVE] = ours["relative.weight"]
    else:
        state[POSITIONS] = positions
        state[SEGMENTS] = positions.new_zeros(TOKEN_TYPES, hidden)
    for our, their in plain_names(config).items():
        state[their] = ours[our]
    for our, parts in fused_names(config).items():
        state |= dict(zip(parts, ours[our].chunk(3), strict=True))
    return state
