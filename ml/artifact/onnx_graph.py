"""The CPU graph, built by hand: a small ONNX file whose tensors point into weights.safetensors.

Activations are rounded per token. ONNX Runtime's own dynamic quantization rounds per tensor, where one
sentence's largest value sets the step of all: a score moved by up to 0.12 with the other sentences of its
batch (measured, November 2026). Per token, scores are the same in every batch (3e-7), twice as close to
float32, and as fast.

Only attention sees padding; all other operations run on tokens alone. In documents of 100 sentences 23 % was
padding, and a forward pass takes 20 % less time without it (tests/bench/notes/engine-and-graph.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from ml.artifact.graph_builder import MS, Graph, external_tensors, onnx_model
from ml.artifact.relative_positions import buckets
from service.nlp.inference.network_config import NetworkConfig
from service.nlp.inference.onnx_engine import LEAVE_BELOW

_ALL = -1
_END = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of float (n, hidden): `middle` (n, 1) is 128 as a byte, `eps` that of the norms."""

    middle: str
    eps: float


@dataclass(frozen=True, slots=True)
class Layout:
    """Tensor names that all layers share, over the n tokens without padding, and two settings.

    `tokens` is (n,), their index in the padded batch; `places` (b, t), the token at each place; `parts`
    the same for query, key and value among (3 * n, hidden); `present` (b, t), the mask, and `mask` the same
    in 32 bits; `bias` (1, n_heads, t, t), what attention adds for relative positions, empty if nothing.
    """

    tokens: str
    places: str
    parts: tuple[str, str, str]
    rows: Rows
    present: str
    mask: str
    bias: str
    n_heads: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """Names of an int8 (in, out) matrix and its float (out,) scale."""

    weight: str
    scale: str
    n_inputs: int


def build(
    weights: Path, config: NetworkConfig, *, exit_heads: Path | None = None
) -> onnx.ModelProto:
    """Return the model over the tensors of `weights`, to be saved in the same folder.

    With `exit_heads`, a file beside them (EXIT_FILE), rows can leave after the layer `exit_layer`: the graph
    then has the input `leave_below`, see Engine.early_outputs.
    """
    graph = Graph(external_tensors(weights))
    if exit_heads is None:
        layout, x = _begin(graph, config)
        pooled = _pooled(
            graph, _layers(graph, x, layout, range(config.n_layers)[:-1]), layout, config
        )
        return onnx_model(graph, _outputs(graph, pooled, config))
    graph.tensors |= external_tensors(exit_heads)
    return onnx_model(graph, _outputs_with_exit(graph, config), optional=[LEAVE_BELOW])


def build_exit_vectors(weights: Path, config: NetworkConfig) -> onnx.ModelProto:
    """Return the model to what the heads of an exit read: `vectors`, (b, hidden)."""
    graph = Graph(external_tensors(weights))
    layout, x = _begin(graph, config)
    n = exit_layer(config) - 1
    x = _layers(graph, x, layout, range(n))
    first, _ = _layer_of_first_tokens(graph, n, x, layout)
    graph.name_output("vectors", first)
    return onnx_model(graph, {"vectors": config.hidden_size})


def exit_layer(config: NetworkConfig) -> int:
    """Return the number of layers before the exit: half of them."""
    return config.n_layers // 2


def _begin(graph: Graph, config: NetworkConfig) -> tuple[Layout, str]:
    """Return the layout of the batch, and its embedded tokens, (n, hidden)."""
    shape = graph.add("Shape", "input_ids")
    layout = _layout(graph, "attention_mask", shape, config)
    rows = graph.constant([_ALL, config.hidden_size], np.int64)
    embedded = graph.add("Reshape", _embedded(graph, shape, config.layer_norm_eps), rows)
    return layout, graph.add("Gather", embedded, layout.tokens)


def _layers(graph: Graph, x: str, layout: Layout, numbers: Iterable[int]) -> str:
    for n in numbers:
        x = _layer(graph, f"layers.{n}.", x, layout)
    return x


def _pooled(graph: Graph, x: str, layout: Layout, config: NetworkConfig) -> str:
    """Map the input of the last layer to the input of the heads, (b, hidden)."""
    last = config.n_layers - 1
    if config.pooling == "mean":
        x = _layers(graph, x, layout, [last])
        return _mean(graph, graph.add("Gather", x, layout.places), layout.present)
    first, _ = _layer_of_first_tokens(graph, last, x, layout)
    return graph.add("Tanh", graph.add("Mul", first, graph.constant(2, np.float32)))


def _outputs(graph: Graph, pooled: str, config: NetworkConfig, prefix: str = "") -> dict[str, int]:
    """Add the heads; return the widths of their outputs, whose names begin with `prefix`."""
    widths = {"logits": _head(graph, pooled, "head", f"{prefix}logits")}
    if config.influence:
        unit = graph.add("LpNormalization", pooled, axis=1, p=2)
        widths["influence"] = _head(graph, unit, "influence", f"{prefix}influence")
    return widths


def _outputs_with_exit(graph: Graph, config: NetworkConfig) -> dict[str, int]:
    """Run all layers on the rows that stay, and return the widths of the outputs of all rows.

    The row with the highest exit score always goes on, since no kernel takes an empty batch.
    """
    layout, x = _begin(graph, config)
    n = exit_layer(config) - 1
    x = _layers(graph, x, layout, range(n))
    first, pairs = _layer_of_first_tokens(graph, n, x, layout)
    score = _exit_score(graph, first)
    leaves = graph.add("Less", score, LEAVE_BELOW)
    best = graph.add("Equal", score, graph.add("ReduceMax", score, keepdims=0))
    goes_on = graph.add("Or", graph.add("Not", leaves), best)
    staying = graph.add("Squeeze", graph.add("NonZero", goes_on), graph.constant([0], np.int64))

    mask = graph.add("Gather", "attention_mask", staying)
    rest = _layout(graph, mask, graph.add("Shape", mask), config, bias=layout.bias)
    places = graph.add(
        "Reshape", graph.add("Gather", layout.places, staying), graph.constant([_ALL], np.int64)
    )
    x = graph.add("Gather", x, graph.add("Gather", places, rest.tokens))
    x = _layer_after_pairs(
        graph, n, x, rest, [graph.add("Gather", pair, staying) for pair in pairs]
    )
    x = _layers(graph, x, rest, range(n + 1, config.n_layers - 1))
    widths = _outputs(graph, _pooled(graph, x, rest, config), config, "staying_")
    _merge_outputs(graph, first, leaves, staying, config)
    return widths


def _merge_outputs(
    graph: Graph, first: str, leaves: str, staying: str, config: NetworkConfig
) -> None:
    """Add the outputs of all rows: those that leave have no logits and an estimated influence."""
    column = graph.constant([1], np.int64)
    none = graph.table("no_logits", np.full((1, config.n_labels), -np.inf, np.float32))
    leaving, rows = (graph.add("Unsqueeze", name, column) for name in (leaves, staying))
    estimates = {"logits": graph.add("Expand", none, graph.add("Shape", leaving))}
    if config.influence:
        _head(graph, first, "exit.influence", "exit_influence")
        estimates["influence"] = "exit_influence"
    for name, estimate in estimates.items():
        merged = graph.add("ScatterND", estimate, rows, f"staying_{name}")
        graph.name_output(name, graph.add("Where", leaving, estimate, merged))


def _exit_score(graph: Graph, first: str) -> str:
    """Map (b, hidden) to the exit score, (b,): the lower, the more certainly harmless."""
    _head(graph, first, "exit.hidden", "exit_hidden")
    _head(graph, graph.add("Relu", "exit_hidden"), "exit.score", "exit_score")
    return graph.add("Squeeze", "exit_score", graph.constant([1], np.int64))


def _layout(
    graph: Graph, mask: str, shape: str, config: NetworkConfig, *, bias: str | None = None
) -> Layout:
    """Return the layout of a batch with this (b, t) mask; `bias` is known for a part of another batch."""
    flat = graph.add("Reshape", mask, graph.constant([_ALL], np.int64))
    tokens = graph.add("Squeeze", graph.add("NonZero", flat), graph.constant([0], np.int64))
    count = graph.add("CumSum", flat, graph.constant(0, np.int64))
    one, two, three = (graph.constant(n, np.int64) for n in (1, 2, 3))
    # A padded place holds the preceding token, or the last one: finite, and never read.
    places = graph.add("Reshape", graph.add("Sub", count, one), shape)
    first = graph.add("Mul", places, three)
    column = graph.add("Unsqueeze", tokens, graph.constant([1], np.int64))
    parts = (first, graph.add("Add", first, one), graph.add("Add", first, two))
    rows = Rows(_middle(graph, column), config.layer_norm_eps)
    integers = graph.add("Cast", mask, to=TensorProto.INT32)
    if bias is None:
        bias = _relative_bias(graph, shape) if "relative.weight" in graph.tensors else ""
    return Layout(tokens, places, parts, rows, mask, integers, bias, config.n_heads)


def _middle(graph: Graph, column: str) -> str:
    """Return 128 as a byte in the shape of `column`, (n, 1)."""
    return graph.add("Expand", graph.constant(128, np.uint8), graph.add("Shape", column))


def _embedded(graph: Graph, shape: str, eps: float) -> str:
    """(b, t) ids -> float (b, t, hidden)."""
    ints = graph.add("Gather", "words.weight", "input_ids")
    scale = graph.add("Gather", "words.scale", "input_ids")
    words = graph.add("Mul", graph.add("Cast", ints, to=TensorProto.FLOAT), scale)
    positions = graph.add("Gather", "positions.weight", _places(graph, shape))
    summed = graph.add("Add", words, positions)
    return graph.add(
        "LayerNormalization", summed, "embedding_norm.weight", "embedding_norm.bias", epsilon=eps
    )


def _places(graph: Graph, shape: str) -> str:
    """(t,) numbers from 0."""
    zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
    return graph.add("Range", zero, graph.add("Gather", shape, one), one)


def _relative_bias(graph: Graph, shape: str) -> str:
    """(1, n_heads, t, t): what each head adds to the attention of a place to another, by their distance."""
    n_buckets = graph.tensors["relative.weight"].dims[0]
    longest = graph.tensors["positions.weight"].dims[0]
    table = graph.table("buckets", buckets(np.arange(1 - longest, longest), n_buckets))
    places = _places(graph, shape)
    column = graph.add("Unsqueeze", places, graph.constant([1], np.int64))
    distances = graph.add("Sub", places, column)  # key minus query
    indices = graph.add("Add", distances, graph.constant(longest - 1, np.int64))
    bias = graph.add("Gather", "relative.weight", graph.add("Gather", table, indices))
    heads_first = graph.add("Transpose", bias, perm=[2, 0, 1])
    return graph.add("Unsqueeze", heads_first, graph.constant([0], np.int64))


def _layer(graph: Graph, name: str, x: str, layout: Layout) -> str:
    """One layer over float (n, hidden); the fused kernels take the biases."""
    qkv = _matmul(graph, x, _matrix(graph, f"{name}qkv"), layout.rows)
    hidden = graph.tensors["head.weight"].dims[1]
    qkv = graph.add("Reshape", qkv, graph.constant([_ALL, hidden], np.int64))  # (3 * n, hidden)
    parts = [graph.add("Gather", qkv, rows) for rows in layout.parts]  # padded again, and split
    mixed = _attention(graph, parts, f"{name}qkv.bias", layout, layout.bias)
    mixed = graph.add("Gather", graph.add("Flatten", mixed, axis=2), layout.tokens)
    return _after_attention(graph, name, x, mixed, layout.rows)


def _layer_of_first_tokens(graph: Graph, n: int, x: str, layout: Layout) -> tuple[str, list[str]]:
    """Map float (n, hidden) to (b, hidden), the output of layer `n` for each row's first token.

    Also returns the keys and values, which are those of all tokens, padded: (b, t, hidden). All else is
    computed for one token a row.
    """
    name, hidden = f"layers.{n}.", graph.tensors["head.weight"].dims[1]
    zero, one, two = (graph.constant(n, np.int64) for n in (0, 1, 2))
    column = graph.constant([1], np.int64)
    firsts = graph.add("Gather", layout.places, zero, axis=1)
    rows = Rows(_middle(graph, graph.add("Unsqueeze", firsts, column)), layout.rows.eps)
    x_first = graph.add("Gather", x, firsts)
    query = _matmul(graph, x_first, _columns(graph, f"{name}qkv", 0, hidden), rows)
    pairs = _matmul(graph, x, _columns(graph, f"{name}qkv", hidden, _END), layout.rows)
    pairs = graph.add("Reshape", pairs, graph.constant([_ALL, hidden], np.int64))  # (2 * n, hidden)
    keys = graph.add("Mul", layout.places, two)
    parts = [
        graph.add("Unsqueeze", query, column),
        graph.add("Gather", pairs, keys),
        graph.add("Gather", pairs, graph.add("Add", keys, one)),
    ]
    bias = layout.bias and _slice(graph, layout.bias, 0, 1, axis=2)
    mixed = _attention(graph, parts, f"{name}qkv.bias", layout, bias)
    mixed = graph.add("Squeeze", mixed, column)
    return _after_attention(graph, name, x_first, mixed, rows), parts[1:]


def _layer_after_pairs(graph: Graph, n: int, x: str, layout: Layout, pairs: list[str]) -> str:
    """Map float (n, hidden) to the output of layer `n`, whose keys and values are known."""
    name, hidden = f"layers.{n}.", graph.tensors["head.weight"].dims[1]
    query = _matmul(graph, x, _columns(graph, f"{name}qkv", 0, hidden), layout.rows)
    parts = [graph.add("Gather", query, layout.places), *pairs]
    mixed = _attention(graph, parts, f"{name}qkv.bias", layout, layout.bias)
    rows = graph.constant([_ALL, hidden], np.int64)
    mixed = graph.add("Gather", graph.add("Reshape", mixed, rows), layout.tokens)
    return _after_attention(graph, name, x, mixed, layout.rows)


def _attention(graph: Graph, parts: list[str], biases: str, layout: Layout, bias: str) -> str:
    """Map query, key and value without biases to float (b, t or 1, hidden)."""
    inputs = [*parts, biases, layout.mask, *([bias] if bias else [])]
    return graph.add("MultiHeadAttention", *inputs, domain=MS, num_heads=layout.n_heads)


def _after_attention(graph: Graph, name: str, x: str, mixed: str, rows: Rows) -> str:
    attended = _matmul(graph, mixed, _matrix(graph, f"{name}attention_out"), rows)
    x = _add_norm(graph, f"{name}attention", (x, attended), rows.eps)
    fed = _matmul(graph, x, _matrix(graph, f"{name}ffn_in"), rows)
    fed = graph.add("BiasGelu", fed, f"{name}ffn_in.bias", domain=MS)
    product = _matmul(graph, fed, _matrix(graph, f"{name}ffn_out"), rows)
    return _add_norm(graph, f"{name}ffn", (x, product), rows.eps)


def _add_norm(graph: Graph, name: str, summands: tuple[str, str], eps: float) -> str:
    """Normalize the sum of the residual and of a product that lacks its bias.

    SkipLayerNormalization does the same, but on the CPU it is a scalar loop and took 14 % of a forward pass,
    these three nodes 3 % (onnxruntime 1.31.1, which does not fuse them at any level).
    """
    residual, product = summands
    summed = graph.add("Add", residual, graph.add("Add", product, f"{name}_out.bias"))
    norm = (f"{name}_norm.weight", f"{name}_norm.bias")
    return graph.add("LayerNormalization", summed, *norm, epsilon=eps)


def _matrix(graph: Graph, name: str) -> Matrix:
    return Matrix(f"{name}.weight", f"{name}.scale", graph.tensors[f"{name}.weight"].dims[0])


def _columns(graph: Graph, name: str, begin: int, end: int) -> Matrix:
    """Return some columns of a matrix; ONNX Runtime slices constants once, when it loads the graph."""
    whole = _matrix(graph, name)
    weight = _slice(graph, whole.weight, begin, end, axis=1)
    return Matrix(weight, _slice(graph, whole.scale, begin, end, axis=0), whole.n_inputs)


def _slice(graph: Graph, x: str, begin: int, end: int, *, axis: int) -> str:
    return graph.add("Slice", x, *(graph.constant([n], np.int64) for n in (begin, end, axis)))


def _matmul(graph: Graph, x: str, matrix: Matrix, rows: Rows) -> str:
    """Multiply float (n, in) by int8 (in, out) without bias: float (n, out).

    Each row is rounded to unsigned bytes around 128 with a step of its own; the kernel multiplies
    integers and applies the output channels' scales, the last node the rows' steps. Signed bytes would
    need no `middle`, but take seven times as long without VNNI.
    """
    largest = graph.add("ReduceMax", graph.add("Abs", x), graph.constant([1], np.int64), keepdims=1)
    floor = graph.constant(1e-9, np.float32)  # a row of zeros must not divide by zero
    step = graph.add("Mul", graph.add("Max", largest, floor), graph.constant(1 / 127, np.float32))
    ints = graph.add("QuantizeLinear", x, step, rows.middle, axis=1, block_size=matrix.n_inputs)
    product = graph.add(
        "MatMulIntegerToFloat",
        ints,
        matrix.weight,
        graph.constant(1, np.float32),
        matrix.scale,
        graph.constant(128, np.uint8),
        domain=MS,
    )
    return graph.add("Mul", product, step)


def _mean(graph: Graph, x: str, mask: str) -> str:
    """Map float (b, t, hidden) to its mean over the tokens, (b, hidden)."""
    weights = graph.add("Cast", mask, to=TensorProto.FLOAT)
    column = graph.add("Unsqueeze", weights, graph.constant([2], np.int64))
    axis = graph.constant([1], np.int64)
    total = graph.add("ReduceSum", graph.add("Mul", x, column), axis, keepdims=0)
    return graph.add("Div", total, graph.add("ReduceSum", column, axis, keepdims=0))


def _head(graph: Graph, x: str, name: str, output: str) -> int:
    """Map (b, hidden) to the graph's `output` by a linear layer, and return its width."""
    weight = f"{name}.weight"
    graph.nodes.append(helper.make_node("Gemm", [x, weight, f"{name}.bias"], [output], transB=1))
    return int(graph.tensors[weight].dims[0])
