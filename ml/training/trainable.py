"""What of a network trains (all, or LoRA factors of its matrices), and the weights that this results in."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ml.settings import TrainSettings
from service.errors import ConfigError
from service.nlp.inference.network import Network, renamed
from service.nlp.inference.network_config import MPNET

_ALPHA_PER_RANK = 2
_ADAPTER = "default"
_BASE_LAYER = ".base_layer."


def prepare(network: Network, recipe: TrainSettings) -> None:
    """Add LoRA factors and save memory, as the recipe says.

    Raises:
        ConfigError: the encoder cannot recompute its layers.
    """
    if recipe.lora_rank:
        _add_factors(network, recipe.lora_rank)
    if recipe.gradient_checkpointing:
        _recompute_layers(network)


def merged_state(network: Network) -> dict[str, Tensor]:
    """Return the weights under our tensor names, each matrix plus the product of its LoRA factors.

    Factors of several checkpoints have no mean that is the mean of their products, so none is stored.
    """
    deltas: dict[str, Tensor] = {
        name: module.get_delta_weight(_ADAPTER)
        for name, module in network.named_modules()
        if isinstance(module, LoraLayer)
    }
    state = {}
    for name, value in network.state_dict().items():
        module, _, kind = name.partition(_BASE_LAYER)
        if ".lora_" not in name:
            change = deltas[module].detach() if kind == "weight" else 0
            state[name.replace(_BASE_LAYER, ".")] = value + change
    return renamed(state, network.config)


def is_second_factor(name: str) -> bool:
    """Return whether a parameter is the B of a LoRA product B A, which starts at zero."""
    return ".lora_B." in name


def _add_factors(network: Network, rank: int) -> None:
    """Freeze the encoder but its norms, and add LoRA (arXiv:2106.09685) to all its linear layers."""
    encoder: Any = network.encoder
    linear = [name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)]
    alpha = _ALPHA_PER_RANK * rank
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=linear), encoder)
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
