"""AdamW for all weights; on a single CPU lazy Adam for the word table."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from safetensors.torch import load_file, save_file

from ml.settings import TrainSettings
from ml.training.trainable import is_second_factor
from service.errors import ConfigError
from service.nlp.inference.network import Network


class Optimizers:
    """Both optimizers and their learning rates: linear warm-up, then linear decay.

    LoRA's B matrices have a rate of their own. `beside` are parameters outside the network; they have the
    head's rate.

    A batch has some 500 of the 30,522 words. Dense Adam updates all rows at each step, which took
    a third of the step's time (measured on 2 cores, November 2026). Several processes, or a GPU, use dense
    Adam for the words, too: sparse gradients synchronise poorly.
    """

    def __init__(
        self,
        network: Network,
        settings: TrainSettings,
        n_steps: int,
        *,
        lazy_words: bool,
        beside: Iterable[torch.nn.Parameter] = (),
    ) -> None:
        words = network.words.weight
        named = [(n, p) for n, p in network.named_parameters() if p.requires_grad]
        head = [p for n, p in named if n.startswith("head.")]
        second = [p for n, p in named if is_second_factor(n)]
        apart = {id(p) for p in [*head, *second, *([words] if lazy_words else [])]}
        body = [p for _, p in named if id(p) not in apart]
        matrices = [p for p in body if p.ndim > 1]
        vectors = [p for p in body if p.ndim == 1]
        rate, decay = settings.encoder_lr, settings.weight_decay
        groups = [
            {"params": matrices, "lr": rate, "weight_decay": decay},
            {"params": vectors, "lr": rate, "weight_decay": 0.0},
            {"params": [*head, *beside], "lr": settings.head_lr, "weight_decay": decay},
            {"params": second, "lr": settings.lora_b_lr, "weight_decay": decay},
        ]
        self.all: list[torch.optim.Optimizer] = [
            torch.optim.AdamW([g for g in groups if g["params"]], fused=True)
        ]
        if lazy_words:
            self.all.append(torch.optim.SparseAdam([words], lr=rate))
        self._clipped = [p for group in groups for p in group["params"]]  # type: ignore[attr-defined]  # lists of parameters
        self._clip_norm = settings.clip_norm
        self._n_steps = n_steps
        self._warmup = max(1, round(settings.warmup * n_steps))
        self._rates = [[group["lr"] for group in o.param_groups] for o in self.all]

    def zero(self) -> None:
        """Reset the gradients."""
        for optimizer in self.all:
            optimizer.zero_grad(set_to_none=True)

    def step(self, n: int) -> float:
        """Update the weights at step `n`, from 0; return the gradient norm before clipping."""
        up = (n + 1) / self._warmup
        down = (self._n_steps - n) / (self._n_steps - self._warmup + 1)
        factor = min(up, max(0.0, down))
        norm = torch.nn.utils.clip_grad_norm_(self._clipped, self._clip_norm)
        for optimizer, rates in zip(self.all, self._rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            optimizer.step()
        return float(norm)

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the moments and step counts by name, for a checkpoint."""
        tensors = {}
        for k, optimizer in enumerate(self.all):
            for i, state in optimizer.state_dict()["state"].items():
                for key, value in state.items():
                    tensors[f"{k}.{i}.{key}"] = torch.as_tensor(value)
        return tensors

    def restore(self, tensors: dict[str, torch.Tensor]) -> None:
        """Restore the result of `tensors`; the learning rates follow from the step number."""
        for k, optimizer in enumerate(self.all):
            state: dict[int, dict[str, object]] = {}
            for name, value in tensors.items():
                index, i, key = name.split(".")
                if int(index) == k:
                    # SparseAdam counts with a plain int, AdamW with a tensor
                    plain = key == "step" and isinstance(optimizer, torch.optim.SparseAdam)
                    state.setdefault(int(i), {})[key] = int(value) if plain else value
            optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def save_state(path: str, tensors: dict[str, torch.Tensor]) -> None:
    """Write tensors to a safetensors file."""
    save_file({n: v.contiguous() for n, v in tensors.items()}, path)


def load_state(path: str) -> dict[str, torch.Tensor]:
    """Read tensors from a safetensors file.

    Raises:
        ConfigError: the file is damaged.
    """
    try:
        return dict(load_file(path))
    except Exception as error:  # safetensors raises its own, undocumented types
        raise ConfigError(f"{path} cannot be read; delete it to start over.") from error
