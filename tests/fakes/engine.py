"""An engine of plain arithmetic, whose answers can be computed by hand, and that can be held up."""

from __future__ import annotations

import threading

import numpy as np

from service.nlp.taxonomy import RISK_TYPES


class LargestIdEngine:
    """The logits of a row are the largest of its token ids, in every column."""

    device = "cpu"

    def __init__(self) -> None:
        self.passes: list[tuple[int, int]] = []  # shape of each forward pass
        self.errors: list[Exception] = []  # raised one a pass
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def logits(self, input_ids: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
        self.passes.append(input_ids.shape)
        self.entered.set()
        self.gate.wait()
        if self.errors:
            raise self.errors.pop(0)
        largest = (input_ids * attention_mask).max(axis=1, keepdims=True)
        return np.repeat(largest, len(RISK_TYPES), axis=1).astype(np.float32)
