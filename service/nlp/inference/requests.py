"""Inference requests: one caller's sentences as token windows, and the outputs collected so far."""

from __future__ import annotations

import contextlib
import math
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import numpy as np

from service.errors import RiskscanError
from service.nlp.arrays import Floats, Ints
from service.nlp.deadline import Deadline


@dataclass(eq=False, slots=True)
class Window:
    """The token ids of a sentence, or of one stretch of an over-long sentence."""

    request: Request
    row: int
    """Row of the sentence in its request."""
    ids: list[int]
    share: float
    """1 / number of the sentence's windows."""

    @property
    def leave_below(self) -> float:
        """Exit score below which the window leaves; -inf for over-long sentences, of which no part leaves."""
        return self.request.leave_below if self.share == 1 else -math.inf


@dataclass(eq=False)
class Request:
    """One caller's sentences. The scheduler's lock guards all fields."""

    deadline: Deadline | None
    outputs: Floats
    """float32 (n_sentences, n_outputs), filled in window by window."""
    n_types: int
    """Risk types, so the number of outputs that are logits."""
    leave_below: float = -math.inf
    """Exit score below which a sentence leaves the network early; -inf: none does."""
    windows: list[Window] = field(default_factory=list)
    """Windows that no batch has taken yet, shortest first."""
    n_windows_left: int = 0
    """Windows whose outputs are missing."""
    n_tokens: int = 0
    """Tokens of the windows whose outputs are missing, with the special tokens."""
    virtual_time: float = 0.0
    """Tokens served to this request, counted from the virtual time at its arrival (fair queueing)."""
    weight: int = 1
    """Virtual time of a token: a background request of weight 8 gets an eighth of a caller's share."""
    arrived_s: float = field(default_factory=time.monotonic)
    has_begun: bool = False
    error: RiskscanError | None = None
    is_abandoned: bool = False
    """Whether the caller no longer waits."""
    is_finished: bool = False
    # A SimpleQueue wakes the caller faster than an Event, which is Python code and holds the GIL longer.
    _wake_up: SimpleQueue[None] = field(default_factory=SimpleQueue)

    def add_sentence(self, row: int, windows: list[list[int]]) -> None:
        """Add the windows of one sentence."""
        self.windows += [Window(self, row, ids, 1 / len(windows)) for ids in windows]
        self.n_windows_left += len(windows)
        self.n_tokens += sum(map(len, windows))

    def take(self, n: int, max_tokens: int, padding: int) -> list[Window]:
        """Remove and return up to `n` windows, the longest of those with at most `max_tokens` tokens.

        Stops before padding all of them to `max_tokens` would need more than `padding` tokens.
        """
        end = bisect_left(self.windows, max_tokens + 1, key=lambda w: len(w.ids))
        begin = end
        while begin > max(0, end - n):
            padding -= max_tokens - len(self.windows[begin - 1].ids)
            if padding < 0:
                break
            begin -= 1
        taken = self.windows[begin:end]
        del self.windows[begin:end]
        return taken

    def store(self, window: Window, outputs: Floats) -> None:
        """Merge a window's outputs, float32 (n_outputs,), into its sentence; the last finishes the request.

        The logits of an over-long sentence are the maximum over its windows, its influence on neighbours
        the mean.
        """
        sentence = self.outputs[window.row]
        if window.share == 1:
            sentence[:] = outputs
        else:
            logits, influence = sentence[: self.n_types], sentence[self.n_types :]
            np.maximum(logits, outputs[: self.n_types], out=logits)
            influence += window.share * outputs[self.n_types :]
        self.n_tokens -= len(window.ids)
        self.n_windows_left -= 1
        if self.n_windows_left == 0:
            self._finish()

    def fail(self, error: RiskscanError) -> None:
        """Record `error` and wake the caller, which raises it."""
        self.error = error
        self._finish()

    def wait(self) -> None:
        """Block until the request is finished or its deadline passes."""
        with contextlib.suppress(Empty):
            self._wake_up.get(timeout=self.deadline.remaining_s() if self.deadline else None)

    def _finish(self) -> None:
        self.is_finished = True
        self._wake_up.put(None)


def pad(rows: list[list[int]]) -> tuple[Ints, Ints]:
    """Return token ids and attention mask, int64 (b, t), zero-padded to the longest row.

    [PAD] is id 0 in BERT.
    """
    shape = (len(rows), max(map(len, rows)))
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask
