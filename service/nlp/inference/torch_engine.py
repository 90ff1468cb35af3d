"""The engine on GPUs: torch with the artifact's weights; also runs on the CPU, for comparison.

torch, transformers and safetensors are imported inside, since the CPU image has none of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from service.nlp.arrays import Floats, Ints
from service.nlp.artifacts.artifact import CONFIG_FILE, WEIGHTS_FILE, Artifact
from service.nlp.inference.engine import CUDA_LIMITS, Engine, EngineOutOfMemory
from service.nlp.inference.network_config import read_network_config

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from service.nlp.inference.network import Network


class TorchEngine(Engine):
    """The same weights in torch: arithmetic in 16 bits on CUDA, in float32 on the CPU."""

    def __init__(self, artifact: Artifact, *, device: str, n_threads: int) -> None:
        import torch  # noqa: PLC0415 - heavy, and absent from the CPU image

        self.device = device
        if device == "cpu":
            torch.set_num_threads(n_threads)
        if device.startswith("cuda"):
            self.limits = CUDA_LIMITS
        self._torch = torch
        self._dtype = half_precision()
        self._model = load_network(artifact).to(device)
        self.n_outputs = self._model.n_outputs
        if self._model.config.vector_layers is not None:
            self.vector_size = self._model.config.hidden_size

    def outputs(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        return self._forward(self._model.outputs, input_ids, attention_mask)

    def vectors(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        return self._forward(self._model.vectors, input_ids, attention_mask)

    def _forward(
        self, run: Callable[[Tensor, Tensor], Tensor], input_ids: Ints, attention_mask: Ints
    ) -> Floats:
        try:
            return self._run(run, input_ids, attention_mask)
        except self._torch.OutOfMemoryError as error:
            raise EngineOutOfMemory("The batch does not fit into the GPU's memory.") from error

    def _run(
        self, run: Callable[[Tensor, Tensor], Tensor], input_ids: Ints, attention_mask: Ints
    ) -> Floats:
        torch = self._torch
        on_cuda = self.device.startswith("cuda")
        with torch.inference_mode(), torch.autocast("cuda", self._dtype, enabled=on_cuda):
            ids, mask = (self._to_device(array) for array in (input_ids, attention_mask))
            out: Floats = run(ids, mask).float().cpu().numpy()
        return out

    def _to_device(self, array: Ints) -> Tensor:
        tensor = self._torch.from_numpy(array)
        # A copy from pageable memory would wait for the previous pass.
        if self.device.startswith("cuda"):
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


def half_precision() -> torch.dtype:
    """Return bfloat16, or float16 on a GPU that would emulate it, such as Turing's."""
    import torch  # noqa: PLC0415 - heavy

    if torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float16
    return torch.bfloat16


def load_network(artifact: Artifact) -> Network:
    """Build an artifact's network, in float32 and evaluation mode, from its float weights if it has them.

    Raises:
        ConfigError: the installed transformers does not have the architecture.
    """
    # transformers reads this variable once, on import: with it, no code path asks the hub.
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch  # noqa: PLC0415 - heavy
    from safetensors import numpy as of_numpy  # noqa: PLC0415 - not needed on the CPU path
    from safetensors import torch as of_torch  # noqa: PLC0415 - as above

    from service.nlp.inference.network import Network  # noqa: PLC0415 - imports torch and transformers

    config = read_network_config(artifact.path / CONFIG_FILE)
    if artifact.float_weights:
        tensors = of_torch.load_file(artifact.float_weights)
        state = {name: value.float() for name, value in tensors.items()}
    else:
        integers = of_numpy.load_file(artifact.path / WEIGHTS_FILE)
        floats = dequantized(integers) if config.has_own_names else integers
        state = {name: torch.from_numpy(value) for name, value in floats.items()}
    model = Network(config)
    model.load_state(state)
    return model.eval()


def dequantized(tensors: dict[str, npt.NDArray[np.generic]]) -> dict[str, Floats]:
    """Convert the tensors of the weights file to float32; a matrix with a scale is stored as (in, out)."""
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
