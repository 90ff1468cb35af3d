"""One caller's sentences on their way through the engine: what waits, and what has been read of it."""

from __future__ import annotations

import contextlib
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

import numpy as np

from service.errors import RiskscanError
from service.nlp.arrays import Ints, Scores
from service.nlp.deadline import Deadline
from service.nlp.inference.neighbour_context import N_TYPES


@dataclass(eq=False, slots=True)
class Window:
    """The token ids of a sentence, or of a stretch of a long one; sentence `row` of its request."""

    request: Request
    row: int
    ids: list[int]
    share: float
    """One part in as many as the sentence has windows."""

    def keep(self, outputs: Scores) -> None:
        """Add the window's outputs, (n_outputs,), to those of its sentence."""
        request = self.request
        sentence = request.outputs[self.row]
        if self.share == 1:
            sentence[:] = outputs
        else:
            own, of_others = sentence[:N_TYPES], sentence[N_TYPES:]
            np.maximum(own, outputs[:N_TYPES], out=own)
            of_others += self.share * outputs[N_TYPES:]
        request.n_tokens -= len(self.ids)
        request.n_windows_left -= 1
        if request.n_windows_left == 0:
            request.finish()


@dataclass(eq=False)
class Request:
    """One caller's sentences on their way; `finish` wakes the caller."""

    deadline: Deadline | None
    outputs: Scores
    windows: list[Window] = field(default_factory=list)
    """That no pass has taken yet, shortest first."""
    n_windows_left: int = 0
    n_tokens: int = 0
    """That no pass has read yet, with [CLS] and [SEP]."""
    served: float = 0.0
    """Tokens that the engine has read for it, from those on that others had when it came."""
    arrived_s: float = field(default_factory=time.monotonic)
    has_begun: bool = False
    error: RiskscanError | None = None
    abandoned: bool = False
    is_finished: bool = False
    _wakes: SimpleQueue[None] = field(default_factory=SimpleQueue)
    """Not an Event, which is Python and keeps the GIL for longer."""

    def add(self, row: int, windows: list[list[int]]) -> None:
        """Take in the windows of one sentence."""
        self.windows += [Window(self, row, ids, 1 / len(windows)) for ids in windows]
        self.n_windows_left += len(windows)
        self.n_tokens += sum(map(len, windows))

    def take(self, n: int, longest: int, padding: int) -> list[Window]:
        """Remove and return the longest windows of at most `longest` tokens.

        Up to `n`, as many as need no more than `padding` tokens of padding to be `longest`.
        """
        end = bisect_left(self.windows, longest + 1, key=lambda w: len(w.ids))
        begin = end
        while begin > max(0, end - n):
            padding -= longest - len(self.windows[begin - 1].ids)
            if padding < 0:
                break
            begin -= 1
        taken = self.windows[begin:end]
        del self.windows[begin:end]
        return taken

    def wait(self) -> None:
        """Return when the request is finished, or its deadline has passed."""
        with contextlib.suppress(Empty):
            self._wakes.get(timeout=self.deadline.remaining_s() if self.deadline else None)

    def finish(self) -> None:
        """Wake the caller."""
        self.is_finished = True
        self._wakes.put(None)

    def fail(self, error: RiskscanError) -> None:
        """Wake the caller, to be told of `error`."""
        self.error = error
        self.finish()


def padded(rows: list[list[int]]) -> tuple[Ints, Ints]:
    """Return ids and mask, int64 (b, t), zero-padded to the longest row; [PAD] is id 0 in BERT."""
    shape = (len(rows), max(map(len, rows)))
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask
