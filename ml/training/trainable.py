"""What of a network trains (all, its last layer, or LoRA factors), and the weights that this results in."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ml.settings import TrainSettings
from ml.training.batches import in_bfloat16
from ml.training.last_layer import freeze_below
from ml.training.lora import LoraLinear
from service.errors import ConfigError
from service.nlp.inference.network import Network, renamed
from service.nlp.inference.network_config import MPNET


def prepare(network: Network, recipe: TrainSettings) -> None:
    """Freeze what does not train, add LoRA factors and save memory, as the recipe says.

    Raises:
        ConfigError: the encoder cannot recompute its layers, or its last layer cannot train alone.
    """
    if recipe.trained_part == "last":
        freeze_below(network)
    if recipe.lora_rank:
        _add_factors(network, recipe)
    if recipe.gradient_checkpointing:
        _recompute_layers(network)


def merged_state(network: Network) -> dict[str, Tensor]:
    """Return the weights under our tensor names, each matrix plus the product of its LoRA factors.

    Factors of several checkpoints have no mean that is the mean of their products, so none is stored.
    """
    state = {n: v for n, v in network.state_dict().items() if ".lora_" not in n}
    for name, module in network.named_modules():
        if isinstance(module, LoraLinear):
            state[f"{name}.weight"] = module.weight + module.change()
    return renamed(state, network.config)


def is_second_factor(name: str) -> bool:
    """Return whether a parameter is the B of a LoRA product B A, which starts at zero."""
    return name.endswith(".lora_b")


def _add_factors(network: Network, recipe: TrainSettings) -> None:
    """Freeze the encoder but its norms, and add factors to all its linear layers."""
    encoder: Any = network.encoder
    linear = [name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)]
    for name in linear:
        layer = encoder.get_submodule(name)
        bfloat16 = in_bfloat16(recipe)
        encoder.set_submodule(name, LoraLinear(layer, recipe.lora_rank, bfloat16=bfloat16))
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad = ".lora_" in name or "norm" in name.lower()


def _recompute_layers(network: Network) -> None:
    """Keep only the inputs of each layer for the gradient, and compute the rest again (arXiv:1604.06174)."""
    encoder: Any = network.encoder
    if encoder.supports_gradient_checkpointing:
        encoder.activation_checkpointing_enable({"use_reentrant": False})
        encoder.disable_input_require_grads()  # which only the reentrant kind needs
    elif network.config.architecture == MPNET:
        for layer in encoder.encoder.layer:
            layer.forward = partial(_recomputed, layer.forward)
    else:
        raise ConfigError(
            f"The architecture {network.config.architecture} cannot recompute its layers: set "
            "`gradient_checkpointing = false` under [train]."
        )


def _recomputed(forward: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any layer
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)
