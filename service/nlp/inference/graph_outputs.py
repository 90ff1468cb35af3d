"""Finds a tensor in an ONNX file and makes it an output, without the onnx package.

An ONNX file is a protobuf message, and the parser of two concatenated messages merges them: a model followed
by one that has nothing but `graph.output` has one output more. Source: protobuf.dev, "Last One Wins".
"""

from __future__ import annotations

from collections.abc import Iterator

_GRAPH, _NODE, _OUTPUT = 7, 1, 12  # ModelProto.graph, GraphProto.node and .output
_NODE_INPUT, _NODE_OUTPUT, _VALUE_NAME = 1, 2, 1
_BYTES, _VARINT, _FIXED64, _FIXED32 = 2, 0, 1, 5


def output_of(model: bytes, tensor: str) -> str | None:
    """Return the first output of the node that reads `tensor`, such as a weight; None if there is none.

    Raises:
        ValueError: the bytes are not a protobuf message.
    """
    wanted = tensor.encode()
    for graph in _fields(model, _GRAPH):
        for node in _fields(graph, _NODE):
            if wanted in _fields(node, _NODE_INPUT):
                return next(_fields(node, _NODE_OUTPUT)).decode()
    return None


def with_output(model: bytes, tensor: str) -> bytes:
    """Return the model with `tensor` as a further, last output."""
    value = _field(_OUTPUT, _field(_VALUE_NAME, tensor.encode()))
    return model + _field(_GRAPH, value)


def _fields(message: bytes, number: int) -> Iterator[bytes]:
    """Yield the contents of the fields of a number that hold bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind, end = tag & 7, at
        if kind == _VARINT:
            _, end = _varint(message, at)
        elif kind == _BYTES:
            length, at = _varint(message, at)
            end = at + length
        elif kind in {_FIXED32, _FIXED64}:
            end = at + (4 if kind == _FIXED32 else 8)
        else:
            raise ValueError(f"not a protobuf message: field of type {kind}")
        if end > len(message):
            raise ValueError("not a protobuf message: it ends within a field")
        if kind == _BYTES and tag >> 3 == number:
            yield message[at:end]
        at = end


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("not a protobuf message: it ends within a number")


def _field(number: int, content: bytes) -> bytes:
    return _as_varint(number << 3 | _BYTES) + _as_varint(len(content)) + content


def _as_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
