"""Token ids -> outputs of the network: ONNX Runtime on the CPU, torch on CUDA (or on the CPU, to compare).

Both read the same weights file, so their scores differ by rounding alone. The CPU path needs numpy and
onnxruntime only; torch and safetensors are imported by TorchEngine.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from service.errors import ArtifactError, ConfigError, RiskscanError
from service.nlp.arrays import Floats, Ints
from service.nlp.artifacts.artifact import CONFIG_FILE, ONNX_FILE, WEIGHTS_FILE, Artifact
from service.nlp.cpu_quota import cpu_quota
from service.nlp.inference import cuda

if TYPE_CHECKING:
    from torch import Tensor

    from service.nlp.inference.encoder import RiskEncoder


class EngineOutOfMemory(RiskscanError):
    """The accelerator's memory does not hold so many tokens at once."""


@dataclass(frozen=True, slots=True)
class PassLimits:
    """How an engine wants its forward passes."""

    at_once: int
    """Passes that may run side by side, each on a thread of its own."""
    tokens: int
    """Most in one pass, padding included; a single longer row goes alone."""
    overhead_tokens: int
    """What it costs to begin a pass, in tokens: so much padding is cheaper than one more pass."""


# A token takes the same time from 100 of them on, and whoever comes next waits for a pass. A pass takes
# 0.4 ms and 0.16 ms a token on a core with AVX2, and padding, which attention alone sees, a tenth of that
# (November 2026).
CPU_LIMITS = PassLimits(at_once=1, tokens=256, overhead_tokens=64)
# A GPU wants many tokens; while one pass computes, the other's ids and outputs are on their way.
CUDA_LIMITS = PassLimits(at_once=2, tokens=32_768, overhead_tokens=1_024)


class Engine(ABC):
    """A loaded network, which `limits.at_once` threads may call at once: one, unless it says otherwise."""

    device: str
    limits = CPU_LIMITS
    n_outputs: int
    """n_risk_types, or three times as many where the network has influence (neighbours.py)."""

    @abstractmethod
    def outputs(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        """Return float32 (b, n_outputs) for int64 (b, t) ids and a mask of zeros and ones.

        A row does not depend on the rows beside it, nor on its padding (within 1e-5 on the CPU).
        """


class OnnxEngine(Engine):
    """The int8 graph in ONNX Runtime: 7-bit weights, activations rounded per token.

    A pass has one thread, since the threads of one pass wait for each other in each of its 300 nodes.
    """

    device = "cpu"

    def __init__(self, artifact: Artifact, *, n_threads: int) -> None:
        # Official builds report to Microsoft by default, and read this once, when they are imported.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime as ort  # type: ignore[import-untyped]  # noqa: PLC0415 - no stubs; heavy

        self.limits = replace(CPU_LIMITS, at_once=n_threads)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        state = ort.capi.onnxruntime_pybind11_state
        faults = (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented)
        try:
            self._session = ort.InferenceSession(
                artifact.path / ONNX_FILE, options, providers=["CPUExecutionProvider"]
            )
        except (*faults, state.RuntimeException) as error:  # they share no base but Exception
            raise ArtifactError(
                f"ONNX Runtime {ort.__version__} cannot load {artifact.path / ONNX_FILE}; "
                "install the version that requirements.txt pins."
            ) from error
        self.n_outputs = sum(output.shape[-1] for output in self._session.get_outputs())

    def outputs(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        feed = {"input_ids": input_ids, "attention_mask": attention_mask}
        parts: list[Floats] = self._session.run(None, feed)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


class TorchEngine(Engine):
    """The same weights in torch: bfloat16 arithmetic on CUDA, float32 on the CPU."""

    def __init__(self, artifact: Artifact, *, device: str, n_threads: int) -> None:
        import torch  # noqa: PLC0415 - heavy, and absent from the CPU image

        self.device = device
        if device == "cpu":
            torch.set_num_threads(n_threads)
        if device.startswith("cuda"):
            self.limits = CUDA_LIMITS
        self._torch = torch
        self._model = load_encoder(artifact.path).to(device)
        self.n_outputs = self._model.n_outputs

    def outputs(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        try:
            return self._forward(input_ids, attention_mask)
        except self._torch.OutOfMemoryError as error:
            raise EngineOutOfMemory("The GPU's memory does not hold so many tokens.") from error

    def _forward(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        torch = self._torch
        on_cuda = self.device.startswith("cuda")
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=on_cuda):
            ids, mask = (self._sent(array) for array in (input_ids, attention_mask))
            out: Floats = self._model.outputs(ids, mask).float().cpu().numpy()
        return out

    def _sent(self, array: Ints) -> Tensor:
        tensor = self._torch.from_numpy(array)
        # From other memory, the copy would wait for the previous pass.
        if self.device.startswith("cuda"):
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


def load_encoder(folder: Path) -> RiskEncoder:
    """Build the network of an artifact's folder from its integer weights: float32, evaluation mode."""
    import torch  # noqa: PLC0415 - heavy
    from safetensors.numpy import load_file  # noqa: PLC0415 - not needed on the CPU path

    from service.nlp.inference.encoder import EncoderConfig, RiskEncoder  # noqa: PLC0415 - imports torch

    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    model = RiskEncoder(EncoderConfig(**config))
    state = dequantized(load_file(folder / WEIGHTS_FILE))
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    return model.eval()


def dequantized(tensors: dict[str, npt.NDArray[np.generic]]) -> dict[str, Floats]:
    """Turn the weights file's tensors into float32 ones; a matrix with a scale is stored (in, out)."""
    state: dict[str, Floats] = {}
    for name, value in tensors.items():
        floats = value.astype(np.float32)
        scale = tensors.get(name.replace(".weight", ".scale"))
        if name.endswith(".weight") and scale is not None:
            floats = floats * scale.astype(np.float32)
            state[name] = floats if scale.ndim == 2 else np.ascontiguousarray(floats.T)
        elif not name.endswith(".scale"):
            state[name] = floats
    return state


def make_engine(artifact: Artifact, *, device: str, n_threads: int) -> Engine:
    """Return the engine for `device` (auto, cpu, cuda or cuda:N); `n_threads` 0 takes the CPU quota.

    Raises:
        ConfigError: CUDA is requested but unusable; the message says why.
        ArtifactError: the runtime cannot load the artifact's graph.
    """
    threads = n_threads or cpu_quota()
    if device == "cpu":
        return OnnxEngine(artifact, n_threads=threads)
    name, _, index = device.partition(":")
    fault = cuda.probe().fault(int(index or 0))
    if fault is None:
        return TorchEngine(artifact, device=f"cuda:{index}" if index else "cuda", n_threads=threads)
    if name == "auto":
        return OnnxEngine(artifact, n_threads=threads)
    raise ConfigError(f"DEVICE={device} cannot be used: {fault}. Or set DEVICE=cpu.")
