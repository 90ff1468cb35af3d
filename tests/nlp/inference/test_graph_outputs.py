"""A tensor of an ONNX file becomes an output, as the onnx package sees it."""

import onnx
import pytest
from onnx import TensorProto, helper

from service.nlp.inference.graph_outputs import output_of, with_output


@pytest.fixture
def model():
    nodes = [
        helper.make_node("Add", ["x", "weight"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["y"]),
    ]
    shape = [1, 300]
    values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x", "y")]
    weight = helper.make_tensor("weight", TensorProto.FLOAT, shape, [0.5] * 300)
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], [weight])
    return helper.make_model(graph).SerializeToString()


def test_tensor_is_found_by_a_weight_and_becomes_the_last_output(model):
    assert output_of(model, "weight") == "sum"
    assert output_of(model, "no such weight") is None
    merged = onnx.load_from_string(with_output(model, "sum"))
    assert [value.name for value in merged.graph.output] == ["y", "sum"]
    assert len(merged.graph.node) == 2


def test_truncated_model_is_refused(model):
    with pytest.raises(ValueError, match="not a protobuf message"):
        output_of(model[:-7], "no such weight")
