"""An engine whose outputs a test can compute by hand; the test can also block it or let it fail."""

from __future__ import annotations

import threading

import numpy as np

from service.nlp.inference.engine import Engine, PassLimits
from service.nlp.taxonomy import built_in

RISK_TYPES = built_in().risk_types


class LargestIdEngine(Engine):
    """Each output of a row is the largest of its token ids."""

    device = "cpu"

    def __init__(
        self,
        n_outputs: int = len(RISK_TYPES),
        *,
        parallel_passes: int = 1,
        overhead_tokens: int = 512,
    ) -> None:
        self.n_outputs = n_outputs
        self.limits = PassLimits(parallel_passes, tokens=512, overhead_tokens=overhead_tokens)
        self.passes: list[tuple[int, int]] = []  # shape of each forward pass
        self.most_at_once = 0  # most passes that ran in parallel
        self._n_running = 0
        self._lock = threading.Lock()
        self.errors: list[Exception | None] = []  # one per pass; None lets the pass succeed
        self.refused_id = -1  # a pass with this token id fails
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def outputs(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        with self._lock:
            self.passes.append(input_ids.shape)
            self._n_running += 1
            self.most_at_once = max(self.most_at_once, self._n_running)
        self.entered.set()
        self.gate.wait()
        with self._lock:
            self._n_running -= 1
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        if (input_ids == self.refused_id).any():
            raise RuntimeError("this token cannot be read")
        largest = (input_ids * attention_mask).max(axis=1, keepdims=True)
        return np.repeat(largest, self.n_outputs, axis=1).astype(np.float32)


class NotANumberEngine(LargestIdEngine):
    """A broken engine: every output is NaN."""

    def __init__(self) -> None:
        super().__init__(3 * len(RISK_TYPES))  # as wide as the shipped model's

    def outputs(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        return np.full_like(super().outputs(input_ids, attention_mask), np.nan)
