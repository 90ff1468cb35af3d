"""The end of a network by itself: the feed-forward network and norm of its last layer, and its head.

The head reads the first token alone, so these parts do, too. The layers below are computed once for each
sentence, so an epoch over 100,000 sentences takes ten seconds (two cores, November 2026).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ml.settings import TrainSettings
from ml.training.batches import Ids, in_batches, in_bfloat16
from service.errors import ConfigError
from service.nlp.inference.network import Network


class LastLayer(nn.Module):
    """Computes logits from the vectors that the last feed-forward network reads, in the place of a Pupil."""

    projection = None

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, first: Tensor) -> tuple[Tensor, Tensor]:
        """Return float (b, n_labels) and (b, 0), for rows of `first_vectors`."""
        layer = last_layer(self.network)
        last = layer.output(layer.intermediate(first), first).float()
        return self.network.logits(self.network.pooled_first(last)), last[:, :0]


def freeze_below(network: Network) -> None:
    """Leave only the parameters of the last feed-forward network, its norm and the head to train.

    Raises:
        ConfigError: as `last_layer`.
    """
    layer = last_layer(network)
    network.encoder.requires_grad_(requires_grad=False)
    layer.intermediate.requires_grad_(requires_grad=True)
    layer.output.requires_grad_(requires_grad=True)


def first_vectors(network: Network, ids: Sequence[Ids], recipe: TrainSettings) -> Tensor:
    """Return float32 (len(ids), hidden): what the last feed-forward network reads of each first token.

    Raises:
        ConfigError: as `last_layer`.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    seen: list[Tensor] = []

    def keep(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        seen.append(arguments[0][:, 0])

    def forward(tokens: Tensor, mask: Tensor) -> Tensor:
        seen.clear()
        network.pooled(tokens, mask)
        return seen[0]

    hook = last_layer(network).intermediate.register_forward_pre_hook(keep)
    try:
        width = network.config.hidden_size
        bfloat16 = in_bfloat16(recipe)
        read = in_batches(network.to(device), forward, width, ids, bfloat16=bfloat16)
        return read.clone()  # outside of inference mode, so that gradients may pass
    finally:
        hook.remove()


def last_layer(network: Network) -> Any:  # noqa: ANN401 - a layer of transformers
    """Return the last layer of a network's encoder.

    Raises:
        ConfigError: the head reads other tokens than the first, or the encoder has no such layer.
    """
    if network.config.pooling != "first" or not network.config.has_own_names:
        raise ConfigError(
            '[train] trained_part = "last" needs a BERT or MPNet with [base] pooling = "first": set it to '
            '"all".'
        )
    encoder: Any = network.encoder
    return encoder.encoder.layer[-1]
