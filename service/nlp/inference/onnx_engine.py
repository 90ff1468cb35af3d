"""The engine on CPUs: ONNX Runtime with the artifact's int8 graph. Imports onnxruntime inside the class."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from service.errors import ArtifactError
from service.nlp.arrays import Floats, Ints
from service.nlp.artifacts.artifact import ONNX_FILE, Artifact
from service.nlp.inference.engine import CPU_LIMITS, Engine

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
        state = ort.capi.onnxruntime_pybind11_state
        faults = (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented)
        try:
            self._session = ort.InferenceSession(
                artifact.path / ONNX_FILE, options, providers=["CPUExecutionProvider"]
            )
        except (*faults, state.RuntimeException) as error:  # their only common base is Exception
            raise ArtifactError(
                f"ONNX Runtime {ort.__version__} cannot load {artifact.path / ONNX_FILE}; "
                "install the version that requirements.txt pins."
            ) from error
        self.n_outputs = sum(output.shape[-1] for output in self._session.get_outputs())
        optional = self._session.get_overridable_initializers()
        self.has_exit = LEAVE_BELOW in {value.name for value in optional}

    def outputs(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        never = np.full(len(input_ids), -np.inf, np.float32)
        return self.early_outputs(input_ids, attention_mask, never)

    def early_outputs(self, input_ids: Ints, attention_mask: Ints, leave_below: Floats) -> Floats:
        feed: dict[str, Ints | Floats] = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self.has_exit:
            feed[LEAVE_BELOW] = leave_below
        parts: list[Floats] = self._session.run(None, feed)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
