"""The engine on CPUs: ONNX Runtime with the artifact's int8 graph. Imports onnxruntime inside the class."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from service.errors import ArtifactError
from service.nlp.arrays import Floats, Ints
from service.nlp.artifacts.artifact import CONFIG_FILE, ONNX_FILE, Artifact
from service.nlp.inference.engine import CPU_LIMITS, Engine
from service.nlp.inference.graph_outputs import output_of, with_output
from service.nlp.inference.network_config import read_network_config

LEAVE_BELOW = "leave_below"
"""The graph's optional input, if it has an exit: float32 (b,), see Engine.early_outputs."""


class OnnxEngine(Engine):
    """The int8 graph in ONNX Runtime: 7-bit weights, activations quantized per token.

    A forward pass uses one thread: several would wait for each other at each of its 300 nodes.
    """

    device = "cpu"

    def __init__(self, artifact: Artifact, *, n_threads: int) -> None:
        # Official builds send telemetry to Microsoft by default. They read this variable once, on import.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime as ort  # type: ignore[import-untyped]  # noqa: PLC0415 - no stubs; heavy

        self.limits = replace(CPU_LIMITS, parallel_passes=n_threads)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors: a graph's optional input is a warning
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        # For a model from bytes, this names the folder of its weights.
        folder = "session.model_external_initializers_file_folder_path"
        options.add_session_config_entry(folder, str(artifact.path))
        state = ort.capi.onnxruntime_pybind11_state
        faults = (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented)
        try:
            model, vectors = _with_vectors(artifact)
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except (*faults, state.RuntimeException, ValueError) as error:  # no other common base
            raise ArtifactError(
                f"ONNX Runtime {ort.__version__} cannot load {artifact.path / ONNX_FILE}; "
                "install the version that requirements.txt pins."
            ) from error
        outputs = [output for output in self._session.get_outputs() if output.name not in vectors]
        self._names = [output.name for output in outputs]
        self._vectors = vectors
        if vectors:
            self.vector_size = read_network_config(artifact.path / CONFIG_FILE).hidden_size
        self.n_outputs = sum(output.shape[-1] for output in outputs)
        optional = self._session.get_overridable_initializers()
        self.has_exit = LEAVE_BELOW in {value.name for value in optional}

    def outputs(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        never = np.full(len(input_ids), -np.inf, np.float32)
        return self.early_outputs(input_ids, attention_mask, never)

    def early_outputs(self, input_ids: Ints, attention_mask: Ints, leave_below: Floats) -> Floats:
        parts = self._run(self._names, input_ids, attention_mask, leave_below)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def vectors(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        never = np.full(len(input_ids), -np.inf, np.float32)  # rows that left have no last layers
        lengths = attention_mask.sum(axis=1)
        begins = np.cumsum(lengths) - lengths
        result = np.zeros((len(input_ids), self.vector_size), np.float32)
        for tokens in self._run(
            self._vectors, input_ids, attention_mask, never
        ):  # (n_tokens, size)
            sums = np.add.reduceat(tokens, begins)
            result += sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return result

    def _run(
        self, names: list[str], input_ids: Ints, attention_mask: Ints, leave_below: Floats
    ) -> list[Floats]:
        feed: dict[str, Ints | Floats] = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self.has_exit:
            feed[LEAVE_BELOW] = leave_below
        parts: list[Floats] = self._session.run(names, feed)
        return parts


def _with_vectors(artifact: Artifact) -> tuple[bytes, list[str]]:
    """Return the graph with the layers of `vectors` as further outputs, and their names; none without names.

    Raises:
        ValueError: the file is no graph.
    """
    model = (artifact.path / ONNX_FILE).read_bytes()
    config = artifact.path / CONFIG_FILE
    if not config.is_file():  # a graph by itself, while an artifact is made
        return model, []
    layers = read_network_config(config).vector_layers or ()
    found = [output_of(model, f"layers.{layer}.ffn_norm.weight") for layer in layers]
    names = [name for name in found if name is not None]
    if len(names) < len(layers):
        return model, []
    for name in names:
        model = with_output(model, name)
    return model, names
