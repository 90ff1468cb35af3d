"""Builds an ONNX graph node by node, over tensors that stay in a safetensors file beside it."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

MS = "com.microsoft"
_DTYPES = {"F32": TensorProto.FLOAT, "I8": TensorProto.INT8}

Attribute = int | float | list[int]


class Graph:
    """Collects nodes and small constants; every call returns the name of its output.

    `tensors` are those of the weights file.
    """

    def __init__(self, tensors: Mapping[str, TensorProto]) -> None:
        self.tensors = dict(tensors)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, npt.NDArray[np.generic]] = {}

    def add(self, op: str, *inputs: str, domain: str = "", **attributes: Attribute) -> str:
        """Add a node with one output."""
        return self.add_many(op, *inputs, n=1, domain=domain, **attributes)[0]

    def add_many(
        self, op: str, *inputs: str, n: int, domain: str = "", **attributes: Attribute
    ) -> list[str]:
        """Add a node with `n` outputs."""
        outputs = [f"{op}_{len(self.nodes)}_{k}" for k in range(n)]
        node = helper.make_node(op, inputs, outputs, domain=domain)
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        self.nodes.append(node)
        return outputs

    def name_output(self, name: str, value: str) -> None:
        """Let the output `name` of the graph be `value`."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def constant(self, value: float | list[int], dtype: type[np.generic]) -> str:
        """Name a constant; equal ones share a tensor."""
        array = np.array(value, dtype=dtype)
        name = f"{array.dtype}_{array.ndim}_" + "_".join(str(v) for v in array.flat)
        self.constants[name] = array
        return name

    def table(self, name: str, values: npt.NDArray[np.generic]) -> str:
        """Name a constant that is too long for a name of its values."""
        self.constants[name] = values
        return name


def external_tensors(weights: Path) -> dict[str, TensorProto]:
    """Return initializers that name file, offset and length of each tensor of a safetensors file."""
    with weights.open("rb") as file:
        header_bytes = struct.unpack("<Q", file.read(8))[0]
        header: Mapping[str, Any] = json.loads(file.read(header_bytes))
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        tensor = TensorProto(name=name, data_type=_DTYPES[entry["dtype"]], dims=entry["shape"])
        tensor.data_location = TensorProto.EXTERNAL
        place = {
            "location": weights.name,
            "offset": 8 + header_bytes + begin,
            "length": end - begin,
        }
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        tensors[name] = tensor
    return tensors


def onnx_model(
    graph: Graph, widths: Mapping[str, int], *, optional: Sequence[str] = ()
) -> onnx.ModelProto:
    """Return the model from `input_ids` and `attention_mask` to the outputs `widths`, with their widths.

    The inputs `optional` are float (batch,); they are -inf where a caller leaves them out.
    """
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    inputs += [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["thresholds"]) for name in optional
    ]
    defaults = [numpy_helper.from_array(np.array([-np.inf], np.float32), name) for name in optional]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
        for name, width in widths.items()
    ]
    small = [numpy_helper.from_array(value, name) for name, value in graph.constants.items()]
    body = helper.make_graph(
        graph.nodes, "risk", inputs, outputs, [*graph.tensors.values(), *small, *defaults]
    )
    versions = [helper.make_opsetid("", 21), helper.make_opsetid(MS, 1)]
    return helper.make_model(body, opset_imports=versions, ir_version=10, producer_name="riskscan")
