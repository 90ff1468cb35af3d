"""The CPU graph, built by hand: a small ONNX file whose tensors point into weights.safetensors.

Activations are rounded per token. ONNX Runtime's own dynamic quantization rounds per tensor, where one
sentence's largest value sets the step of all: a score moved by up to 0.12 with the other sentences of its
batch (measured, November 2026). Per token, scores are the same in every batch (3e-7), twice as close to
float32, and as fast.

Only attention sees padding; all other operations run on tokens alone. In documents of 100 sentences 23 % was
padding, and a forward pass takes 20 % less time without it (tests/bench/NOTES.md).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.nlp.artifacts.artifact import WEIGHTS_FILE

_MS = "com.microsoft"
_DTYPES = {"F32": TensorProto.FLOAT, "I8": TensorProto.INT8}
_ALL = -1


Attribute = int | float


@dataclass(frozen=True, slots=True)
class Layout:
    """Tensor names that all layers share, over the n tokens without padding, and two settings.

    `tokens` is (n,), their index in the padded batch; `places` (b, t), the token at each place; `parts`
    the same for query, key and value among (3 * n, hidden); `middle` (n, 1), 128 as a byte; `mask` (b, t).
    """

    tokens: str
    places: str
    parts: tuple[str, str, str]
    middle: str
    mask: str
    n_heads: int
    eps: float


class Graph:
    """Collects nodes and small constants; every call returns the name of its output.

    `tensors` are those of the weights file.
    """

    def __init__(self, tensors: Mapping[str, TensorProto]) -> None:
        self.tensors = tensors
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

    def constant(self, value: float | list[int], dtype: type[np.generic]) -> str:
        """Name a constant; equal ones share a tensor."""
        array = np.array(value, dtype=dtype)
        name = f"{array.dtype}_{array.ndim}_" + "_".join(str(v) for v in array.flat)
        self.constants[name] = array
        return name


def build(weights: Path, *, n_layers: int, n_heads: int, eps: float) -> onnx.ModelProto:
    """Return the model over the tensors of `weights`, to be saved in the same folder."""
    graph = Graph(_external(weights))
    hidden = graph.tensors["head.weight"].dims[1]
    shape = graph.add("Shape", "input_ids")
    layout = _layout(graph, shape, n_heads, eps)
    rows = graph.constant([_ALL, hidden], np.int64)
    x = graph.add("Gather", graph.add("Reshape", _embedded(graph, shape, eps), rows), layout.tokens)
    for n in range(n_layers):
        x = _layer(graph, f"layers.{n}.", x, layout)
    pooled = _pooled(graph, graph.add("Gather", x, layout.places))
    widths = {"logits": _head(graph, pooled, "head", "logits")}
    if "influence.weight" in graph.tensors:
        unit = graph.add("LpNormalization", pooled, axis=1, p=2)
        widths["influence"] = _head(graph, unit, "influence", "influence")
    return _model(graph, widths)


def _external(weights: Path) -> dict[str, TensorProto]:
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
            "location": WEIGHTS_FILE,
            "offset": 8 + header_bytes + begin,
            "length": end - begin,
        }
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        tensors[name] = tensor
    return tensors


def _layout(graph: Graph, shape: str, n_heads: int, eps: float) -> Layout:
    flat = graph.add("Reshape", "attention_mask", graph.constant([_ALL], np.int64))
    tokens = graph.add("Squeeze", graph.add("NonZero", flat), graph.constant([0], np.int64))
    count = graph.add("CumSum", flat, graph.constant(0, np.int64))
    one, two, three = (graph.constant(n, np.int64) for n in (1, 2, 3))
    # A padded place holds the preceding token, or the last one: finite, and never read.
    places = graph.add("Reshape", graph.add("Sub", count, one), shape)
    first = graph.add("Mul", places, three)
    column = graph.add("Unsqueeze", tokens, graph.constant([1], np.int64))
    return Layout(
        tokens=tokens,
        places=places,
        parts=(first, graph.add("Add", first, one), graph.add("Add", first, two)),
        middle=graph.add("Expand", graph.constant(128, np.uint8), graph.add("Shape", column)),
        mask=graph.add("Cast", "attention_mask", to=TensorProto.INT32),
        n_heads=n_heads,
        eps=eps,
    )


def _embedded(graph: Graph, shape: str, eps: float) -> str:
    """(b, t) ids -> float (b, t, hidden)."""
    ints = graph.add("Gather", "words.weight", "input_ids")
    scale = graph.add("Gather", "words.scale", "input_ids")
    words = graph.add("Mul", graph.add("Cast", ints, to=TensorProto.FLOAT), scale)
    zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
    places = graph.add("Range", zero, graph.add("Gather", shape, one), one)
    summed = graph.add("Add", words, graph.add("Gather", "positions.weight", places))
    return graph.add(
        "LayerNormalization", summed, "embedding_norm.weight", "embedding_norm.bias", epsilon=eps
    )


def _layer(graph: Graph, name: str, x: str, layout: Layout) -> str:
    """One BERT layer over float (n, hidden); the fused kernels take the biases."""
    hidden = graph.tensors["head.weight"].dims[1]
    qkv = _matmul(graph, x, f"{name}qkv", layout)
    qkv = graph.add("Reshape", qkv, graph.constant([_ALL, hidden], np.int64))  # (3 * n, hidden)
    parts = [graph.add("Gather", qkv, rows) for rows in layout.parts]  # padded again, and split
    inputs = (*parts, f"{name}qkv.bias", layout.mask)
    mixed = graph.add("MultiHeadAttention", *inputs, domain=_MS, num_heads=layout.n_heads)
    mixed = graph.add("Gather", graph.add("Flatten", mixed, axis=2), layout.tokens)
    attended = _matmul(graph, mixed, f"{name}attention_out", layout)
    x = _add_norm(graph, f"{name}attention", (x, attended), layout.eps)
    fed = _matmul(graph, x, f"{name}ffn_in", layout)
    fed = graph.add("BiasGelu", fed, f"{name}ffn_in.bias", domain=_MS)
    return _add_norm(
        graph, f"{name}ffn", (x, _matmul(graph, fed, f"{name}ffn_out", layout)), layout.eps
    )


def _add_norm(graph: Graph, name: str, summands: tuple[str, str], eps: float) -> str:
    """Normalize the sum of the residual and of a product that lacks its bias.

    SkipLayerNormalization does the same, but on the CPU it is a scalar loop and took 14 % of a forward pass,
    these three nodes 3 % (onnxruntime 1.31.1, which does not fuse them at any level).
    """
    residual, product = summands
    summed = graph.add("Add", residual, graph.add("Add", product, f"{name}_out.bias"))
    norm = (f"{name}_norm.weight", f"{name}_norm.bias")
    return graph.add("LayerNormalization", summed, *norm, epsilon=eps)


def _matmul(graph: Graph, x: str, name: str, layout: Layout) -> str:
    """Multiply float (n, in) by int8 (in, out) without bias: float (n, out).

    Each row is rounded to unsigned bytes around 128 with a step of its own; the kernel multiplies
    integers and applies the output channels' scales, the last node the rows' steps. Signed bytes would
    need no `middle`, but take seven times as long without VNNI.
    """
    largest = graph.add("ReduceMax", graph.add("Abs", x), graph.constant([1], np.int64), keepdims=1)
    floor = graph.constant(1e-9, np.float32)  # a row of zeros must not divide by zero
    step = graph.add("Mul", graph.add("Max", largest, floor), graph.constant(1 / 127, np.float32))
    width = graph.tensors[f"{name}.weight"].dims[0]
    ints = graph.add("QuantizeLinear", x, step, layout.middle, axis=1, block_size=width)
    product = graph.add(
        "MatMulIntegerToFloat",
        ints,
        f"{name}.weight",
        graph.constant(1, np.float32),
        f"{name}.scale",
        graph.constant(128, np.uint8),
        domain=_MS,
    )
    return graph.add("Mul", product, step)


def _pooled(graph: Graph, x: str) -> str:
    """Map float (b, t, hidden) to its mean over the tokens, (b, hidden)."""
    weights = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    column = graph.add("Unsqueeze", weights, graph.constant([2], np.int64))
    axis = graph.constant([1], np.int64)
    total = graph.add("ReduceSum", graph.add("Mul", x, column), axis, keepdims=0)
    return graph.add("Div", total, graph.add("ReduceSum", column, axis, keepdims=0))


def _head(graph: Graph, x: str, name: str, output: str) -> int:
    """Map (b, hidden) to the graph's `output` by a linear layer, and return its width."""
    weight = f"{name}.weight"
    graph.nodes.append(helper.make_node("Gemm", [x, weight, f"{name}.bias"], [output], transB=1))
    return int(graph.tensors[weight].dims[0])


def _model(graph: Graph, widths: Mapping[str, int]) -> onnx.ModelProto:
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])
        for name, width in widths.items()
    ]
    small = [numpy_helper.from_array(value, name) for name, value in graph.constants.items()]
    body = helper.make_graph(
        graph.nodes, "risk", inputs, outputs, [*graph.tensors.values(), *small]
    )
    versions = [helper.make_opsetid("", 21), helper.make_opsetid(_MS, 1)]
    return helper.make_model(body, opset_imports=versions, ir_version=10, producer_name="riskscan")
