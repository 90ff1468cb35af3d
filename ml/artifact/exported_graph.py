"""The CPU graph of an architecture without a graph of our own: exported from torch. Imports torch.

ONNX Runtime rounds its matrix products to integers, activations with one step for the whole batch. So, other
than with onnx_graph.py, a score can move with the other sentences of its batch.
"""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import (  # type: ignore[import-untyped]  # no stubs
    QuantType,
    quantize_dynamic,
)
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from service.nlp.artifacts.artifact import WEIGHTS_FILE
from service.nlp.inference.network import Network
from service.nlp.inference.network_config import NetworkConfig

_OPSET = 18
_EXAMPLE_SHAPE = (2, 8)
"""Neither dimension may be 1: torch.export takes that for a constant."""


class _Outputs(nn.Module):
    """The graph's outputs: logits, and the influence on neighbours if the network has it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        pooled = self.network.pooled(input_ids, attention_mask)
        logits: Tensor = self.network.head(pooled)
        if self.network.influence is None:
            return (logits,)
        return logits, self.network.influence(F.normalize(pooled, dim=1))


def exported(folder: Path, config: NetworkConfig) -> onnx.ModelProto:
    """Return the integer graph of the float weights in `folder`; it holds its weights itself."""
    network = Network(config)
    network.load_state(load_file(folder / WEIGHTS_FILE))
    with tempfile.TemporaryDirectory(prefix="riskscan-export-") as scratch:
        integers = Path(scratch) / "int8.onnx"
        _quantize(_float_graph(_Outputs(network.eval()), config), integers)
        return onnx.load(integers)


def _float_graph(module: _Outputs, config: NetworkConfig) -> onnx.ModelProto:
    ids = torch.full(_EXAMPLE_SHAPE, 5)
    batch = torch.export.Dim("batch", min=1)
    tokens = torch.export.Dim("tokens", min=1, max=config.max_positions or None)
    dims = {0: batch, 1: tokens}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            module,
            (ids, torch.ones_like(ids)),
            dynamo=True,
            opset_version=_OPSET,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits", "influence"][: 1 + config.influence],
            dynamic_shapes=(dims, dims),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    model: onnx.ModelProto = program.model_proto
    model.graph.ClearField("value_info")  # shapes from before the exporter's own rewriting
    return model


def _quantize(model: onnx.ModelProto, integers: Path) -> None:
    quantize_dynamic(
        model,
        integers,
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        reduce_range=True,  # seven bits, see quantization.py
        weight_type=QuantType.QInt8,
    )
