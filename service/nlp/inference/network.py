"""The network: an encoder of transformers, a pooling and linear heads. Imports torch and transformers.

Training (ml) and the CUDA engine share this class, so they cannot differ.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name
from transformers import (
    MODEL_MAPPING,
    AutoConfig,
    AutoModel,
    BertConfig,
    MPNetConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from service.errors import ConfigError
from service.nlp.inference.network_config import BERT, MPNET, NetworkConfig, Pooling
from service.nlp.inference.tensor_conversion import to_ours, to_transformers
from service.nlp.inference.tensor_names import MPNET_POSITION_OFFSET, TOKEN_TYPES

_ENCODER = "encoder."
_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout")


class Network(nn.Module):
    """Token ids to one logit per risk type: a transformer, a pooling over its tokens, a linear head.

    A second head, `influence`, maps the pooled vector, scaled to length 1, to the influence on neighbours.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = new_encoder(config)
        self.head = nn.Linear(config.hidden_size, config.n_labels)
        width = 2 * config.n_labels
        self.influence = nn.Linear(config.hidden_size, width) if config.influence else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return float (b, n_labels) logits for int64 (b, t) ids and a (b, t) mask of zeros and ones."""
        return self.logits(self.pooled(input_ids, attention_mask))

    def logits(self, pooled: Tensor) -> Tensor:
        """Return float (b, n_labels) for the result of `pooled`."""
        if self.config.pooling == "first":
            pooled = F.dropout(pooled, self.config.dropout, self.training)
        return self.head(pooled)  # type: ignore[no-any-return]  # nn.Module.__call__ is untyped

    @property
    def words(self) -> nn.Embedding:
        """The encoder's table of word embeddings."""
        return cast("nn.Embedding", self.encoder.get_input_embeddings())

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
        """Return the input of the head, float (b, hidden); see NetworkConfig.pooling."""
        x = self._last_layer(input_ids, attention_mask).float()
        if self.config.pooling == "first":
            return self.pooled_first(x[:, 0])
        weights = attention_mask.unsqueeze(-1).to(x.dtype)
        mean: Tensor = (x * weights).sum(1) / weights.sum(1)
        return mean

    def pooled_first(self, first: Tensor) -> Tensor:
        """Return the result of `pooled` for the last layer's vector of the first token, float (b, hidden)."""
        return torch.tanh(2 * F.dropout(first, self.config.dropout, self.training))

    def vectors(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return float (b, hidden); see Engine.vectors."""
        states = self._encoded(input_ids, attention_mask, output_hidden_states=True).hidden_states
        weights = attention_mask.unsqueeze(-1)
        # The first of the states are the embedded tokens. Scaled to length 1, a sum is as good as a mean.
        sums = [(states[k + 1].float() * weights).sum(1) for k in self.config.vector_layers or ()]
        return torch.stack([F.normalize(x, dim=1) for x in sums]).sum(0)

    def state(self) -> dict[str, Tensor]:
        """Return the weights under the names of the artifact's weights file, without gradients."""
        return renamed(self.state_dict(), self.config)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Load weights that have the names of the artifact's weights file.

        Raises:
            RuntimeError: a tensor is missing, unknown or of another shape.
        """
        heads = {n: v for n, v in state.items() if n.startswith(("head.", "influence."))}
        rest = {n: v for n, v in state.items() if n not in heads}
        if self.config.has_own_names:
            theirs = to_transformers(rest, self.config)
            rest = {_ENCODER + name: value for name, value in theirs.items()}
        self.load_state_dict({**rest, **heads})

    def load_renamed(self, state: Mapping[str, Tensor]) -> None:
        """Load weights that have the names of `state_dict`; the token types move into the positions."""
        self.load_state(renamed(state, self.config))

    def _last_layer(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        last: Tensor = self._encoded(input_ids, attention_mask).last_hidden_state
        return last

    def _encoded(self, input_ids: Tensor, attention_mask: Tensor, **options: bool) -> Any:  # noqa: ANN401 - transformers'
        positions = {}
        if self.config.has_own_names:
            # Places count from the first token; MPNet would skip those that look like padding.
            offset = MPNET_POSITION_OFFSET if self.config.architecture == MPNET else 0
            ids = torch.arange(input_ids.shape[1], device=input_ids.device) + offset
            positions = {"position_ids": ids.unsqueeze(0)}
        return self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, **positions, **options
        )


def renamed(state: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """Return the `state_dict()` of a Network under the names of the artifact's weights file."""
    if not config.has_own_names:
        return dict(state)
    encoder = {n.removeprefix(_ENCODER): v for n, v in state.items() if n.startswith(_ENCODER)}
    heads = {n: v for n, v in state.items() if not n.startswith(_ENCODER)}
    return {**to_ours(encoder, config), **heads}


def new_encoder(config: NetworkConfig) -> PreTrainedModel:
    """Return the encoder with random weights, without a pooler of its own.

    Raises:
        ConfigError: this version of transformers does not have the architecture.
    """
    theirs = transformers_config(config)
    encoder: PreTrainedModel = AutoModel.from_config(theirs, **without_pooler(theirs))
    if config.has_own_names and config.architecture == BERT:
        # Zeros: `positions` has the first token type's share already.
        types = encoder.get_submodule("embeddings.token_type_embeddings")
        types.requires_grad_(requires_grad=False)
    return encoder


def without_pooler(config: PreTrainedConfig) -> dict[str, bool]:
    """Return the argument of the model's class that leaves out its pooler, if it takes one."""
    takes_it = "add_pooling_layer" in inspect.signature(MODEL_MAPPING[type(config)]).parameters
    return {"add_pooling_layer": False} if takes_it else {}


def transformers_config(config: NetworkConfig) -> PreTrainedConfig:
    """Return the configuration of transformers for a network.

    Raises:
        ConfigError: this version of transformers does not have the architecture.
    """
    if config.transformers is not None:
        fields = {key: value for key, value in config.transformers.items() if key != "model_type"}
        fields |= {key: config.dropout for key in _DROPOUTS if key in fields}
        try:
            return AutoConfig.for_model(config.architecture, **fields)
        except ValueError as error:
            raise ConfigError(
                f"The installed transformers has no architecture {config.architecture!r}; install the "
                "version that requirements-gpu.txt pins, or use another model."
            ) from error
    sizes: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "num_hidden_layers": config.n_layers,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.intermediate_size,
        "layer_norm_eps": config.layer_norm_eps,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
    }
    if config.architecture == MPNET:
        places = config.max_positions + MPNET_POSITION_OFFSET
        return MPNetConfig(max_position_embeddings=places, **sizes)
    return BertConfig(
        max_position_embeddings=config.max_positions, type_vocab_size=TOKEN_TYPES, **sizes
    )


def network_config(
    theirs: PreTrainedConfig, *, n_labels: int, pooling: Pooling, dropout: float
) -> NetworkConfig:
    """Return the description of a network around an encoder with the configuration `theirs`.

    A BERT or MPNet that our tensor names cannot hold, such as one with another activation, is described as
    any other architecture.
    """
    config = NetworkConfig(
        n_labels=n_labels,
        hidden_size=theirs.hidden_size,
        intermediate_size=getattr(theirs, "intermediate_size", 0),
        n_layers=getattr(theirs, "num_hidden_layers", 0),
        n_heads=getattr(theirs, "num_attention_heads", 0),
        vocab_size=theirs.vocab_size,
        max_positions=getattr(theirs, "max_position_embeddings", 0),
        layer_norm_eps=getattr(theirs, "layer_norm_eps", 0.0),
        dropout=dropout,
        architecture=theirs.model_type,
        pooling=pooling,
    )
    if _fits_own_names(theirs):
        offset = MPNET_POSITION_OFFSET if theirs.model_type == MPNET else 0
        return replace(config, max_positions=config.max_positions - offset)
    return replace(config, transformers=theirs.to_diff_dict())


def _fits_own_names(theirs: PreTrainedConfig) -> bool:
    expected = {
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "is_decoder": False,
        "add_cross_attention": False,
        "relative_attention_num_buckets": 32,
    }
    is_plain = all(getattr(theirs, key, value) == value for key, value in expected.items())
    return theirs.model_type in {BERT, MPNET} and is_plain
