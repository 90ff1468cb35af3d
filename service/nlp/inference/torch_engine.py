"""The engine on GPUs: torch with the artifact's weights; also runs on the CPU, for comparison.

torch and safetensors are imported inside, since the CPU image has neither.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from service.nlp.arrays import Floats, Ints
from service.nlp.artifacts.artifact import CONFIG_FILE, WEIGHTS_FILE, Artifact
from service.nlp.inference.engine import CUDA_LIMITS, Engine, EngineOutOfMemory

if TYPE_CHECKING:
    from torch import Tensor

    from service.nlp.inference.encoder import RiskEncoder


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
            raise EngineOutOfMemory("The batch does not fit into the GPU's memory.") from error

    def _forward(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        torch = self._torch
        on_cuda = self.device.startswith("cuda")
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=on_cuda):
            ids, mask = (self._to_device(array) for array in (input_ids, attention_mask))
            out: Floats = self._model.outputs(ids, mask).float().cpu().numpy()
        return out

    def _to_device(self, array: Ints) -> Tensor:
        tensor = self._torch.from_numpy(array)
        # A copy from pageable memory would wait for the previous pass.
        if self.device.startswith("cuda"):
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


def load_encoder(folder: Path) -> RiskEncoder:
    """Build an artifact's network from its integer weights, in float32 and evaluation mode."""
    import torch  # noqa: PLC0415 - heavy
    from safetensors.numpy import load_file  # noqa: PLC0415 - not needed on the CPU path

    from service.nlp.inference.encoder import EncoderConfig, RiskEncoder  # noqa: PLC0415 - imports torch

    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    model = RiskEncoder(EncoderConfig(**config))
    state = dequantized(load_file(folder / WEIGHTS_FILE))
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
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
