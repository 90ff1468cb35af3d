"""Chooses the engine for the configured device."""

from __future__ import annotations

from service.errors import ConfigError
from service.nlp.artifacts.artifact import Artifact
from service.nlp.cpu_quota import cpu_quota
from service.nlp.inference import cuda
from service.nlp.inference.engine import Engine
from service.nlp.inference.onnx_engine import OnnxEngine
from service.nlp.inference.torch_engine import TorchEngine


def open_engine(artifact: Artifact, *, device: str, n_threads: int) -> Engine:
    """Open the engine for `device` (auto, cpu, cuda or cuda:N) with the artifact's weights.

    `n_threads` of 0 uses the CPU quota.

    Raises:
        ConfigError: CUDA is requested but cannot be used; the message says why.
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
