"""Many callers, one inference thread, one forward pass.

The thread alone owns tokenizer and engine: a fast tokenizer shared by threads truncates wrongly
without an error, and two forward passes at once are slower than one after the other.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from service.errors import AnalyzerTimeout, Overloaded, RiskscanError, ShuttingDown
from service.nlp.analyzer import Deadline, Scores
from service.nlp.neighbours import N_TYPES, own_logits
from service.nlp.windows import Windower

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = npt.NDArray[np.int64]

# Padding included. On one core 1,024 gave 380 sentences/s, 4,096 gave 276 (its activations leave the
# cache); a GPU wants many more. November 2026.
TOKENS_PER_PASS = {"cpu": 1_024, "cuda": 32_768}
MAX_WAITING_REQUESTS = 64

log = logging.getLogger(__name__)


class Network(Protocol):
    """The part of an engine that batching needs."""

    n_outputs: int

    def outputs(self, input_ids: Ids, attention_mask: Ids) -> Scores:
        """Return float32 (b, n_outputs) for int64 (b, t) ids and mask."""


@dataclass(eq=False)
class _Request:
    """One caller's sentences on their way; `finished` wakes the caller."""

    sentences: Sequence[str]
    deadline: Deadline | None
    outputs: Scores
    n_windows_left: int = 0
    error: RiskscanError | None = None
    abandoned: bool = False
    finished: threading.Event = field(default_factory=threading.Event)

    def is_live(self) -> bool:
        expired = self.deadline is not None and self.deadline.remaining_s() == 0.0
        return not (self.abandoned or expired or self.finished.is_set())

    def fail(self, error: RiskscanError) -> None:
        self.error = error
        self.finished.set()


@dataclass(eq=False, slots=True)
class _Window:
    request: _Request
    row: int
    ids: list[int]
    share: float
    """One part in as many as the sentence has windows."""


class InferenceThread:
    """Scores the sentences of any number of callers with one engine.

    Each forward pass takes windows of similar length from all waiting requests, the oldest request
    first, up to `tokens_per_pass`. It starts as soon as the thread is idle: no timer delays a lone
    caller, and while one pass runs the next one fills up.
    """

    def __init__(
        self,
        engine: Network,
        tokenizer: Tokenizer,
        *,
        max_length_tokens: int,
        tokens_per_pass: int = TOKENS_PER_PASS["cpu"],
        max_waiting: int = MAX_WAITING_REQUESTS,
    ) -> None:
        self._engine = engine
        self._windower = Windower(tokenizer, max_length_tokens)
        self._tokens_per_pass = tokens_per_pass
        self._max_waiting = max_waiting
        self._arrived: deque[_Request] = deque()
        self._windows: list[_Window] = []  # the thread's own, oldest request first
        self._changed = threading.Condition()
        self._n_open = 0
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()

    @property
    def n_outputs(self) -> int:
        """Width of what `outputs` returns."""
        return self._engine.n_outputs

    def outputs(self, sentences: Sequence[str], *, deadline: Deadline | None = None) -> Scores:
        """Return float32 (len(sentences), n_outputs), rows in the order given.

        Of a sentence longer than the model's window, the logits are the maximum over its windows, and what
        it says of its neighbours the mean.

        Raises:
            AnalyzerTimeout: `deadline` passed; what is left of the work is dropped.
            RiskscanError: the model failed on these sentences (internal_error).
            Overloaded: too many requests wait already.
            ShuttingDown: the thread was closed.
        """
        outputs = np.zeros((len(sentences), self.n_outputs), np.float32)
        own_logits(outputs)[:] = -np.inf
        request = _Request(sentences, deadline, outputs)
        if not sentences:
            return request.outputs
        self._enqueue(request)
        try:
            request.finished.wait(None if deadline is None else deadline.remaining_s())
        finally:
            request.abandoned = True
            with self._changed:
                self._n_open -= 1
        return _result(request)

    def is_alive(self) -> bool:
        """Return whether the thread still takes work."""
        return self._thread.is_alive() and not self._closing

    def close(self) -> None:
        """End the thread after the pass in flight; whoever still waits gets ShuttingDown."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _enqueue(self, request: _Request) -> None:
        with self._changed:
            if self._closing:
                raise _shutting_down()
            if self._n_open >= self._max_waiting:
                raise Overloaded(
                    f"{self._n_open} analyses wait already. Try again in a few seconds."
                )
            self._n_open += 1
            self._arrived.append(request)
            self._changed.notify()

    def _run(self) -> None:
        while self._admit():
            self._windows = [w for w in self._windows if w.request.is_live()]
            if self._windows:
                self._forward(self._next_pass())
        for request in [*self._arrived, *(w.request for w in self._windows)]:
            request.fail(_shutting_down())

    def _admit(self) -> bool:
        """Take in what has arrived, waiting for it when there is nothing else to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._arrived or self._windows or self._closing)
            if self._closing:
                return False
            arrived = list(self._arrived)
            self._arrived.clear()
        for request in arrived:
            if request.is_live():
                self._tokenize(request)
        return True

    def _tokenize(self, request: _Request) -> None:
        try:
            windows = self._windower.windows(request.sentences)
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must outlive any
            _log_failure(error)
            request.fail(_internal_error(error))
            return
        request.n_windows_left = sum(map(len, windows))
        self._windows += [
            _Window(request, row, ids, 1 / len(parts))
            for row, parts in enumerate(windows)
            for ids in parts
        ]

    def _next_pass(self) -> list[_Window]:
        """Take the oldest request's longest window and the windows nearest below it in length."""
        oldest = self._windows[0].request
        longest = max(len(w.ids) for w in self._windows if w.request is oldest)
        fitting = [w for w in self._windows if len(w.ids) <= longest]
        fitting.sort(key=lambda w: len(w.ids), reverse=True)
        taken = fitting[: max(1, self._tokens_per_pass // longest)]
        gone = {id(w) for w in taken}
        self._windows = [w for w in self._windows if id(w) not in gone]
        return taken

    def _forward(self, windows: list[_Window]) -> None:
        """Score windows of any requests; where that fails, those of each request alone."""
        try:
            self._score(windows)
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must outlive any
            _log_failure(error)
            requests = list(dict.fromkeys(w.request for w in windows))
            if len(requests) == 1:
                requests[0].fail(_internal_error(error))
                return
            for request in requests:
                self._forward([w for w in windows if w.request is request])

    def _score(self, windows: list[_Window]) -> None:
        outputs = self._engine.outputs(*_padded([w.ids for w in windows]))
        if outputs.shape != (len(windows), self.n_outputs):
            raise ValueError(f"the engine gave {outputs.shape} for {len(windows)} windows")
        for window, row in zip(windows, outputs, strict=True):
            own, of_others = np.split(window.request.outputs[window.row], [N_TYPES])
            np.maximum(own, row[:N_TYPES], out=own)
            of_others += window.share * row[N_TYPES:]
            window.request.n_windows_left -= 1
            if window.request.n_windows_left == 0:
                window.request.finished.set()


def _padded(rows: list[list[int]]) -> tuple[Ids, Ids]:
    """Return ids and mask, int64 (b, t), zero-padded to the longest row; [PAD] is id 0 in BERT."""
    shape = (len(rows), max(map(len, rows)))
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


def _result(request: _Request) -> Scores:
    if request.error is not None:
        raise request.error
    if request.finished.is_set():
        return request.outputs
    if request.deadline is not None:
        request.deadline.check()
    raise AnalyzerTimeout("The analysis did not end in time. Try again.")


def _log_failure(error: Exception) -> None:
    """Log where the model failed; what an exception says may quote the document, so that is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    log.error("the model failed: %s at %s", type(error).__name__, where)


def _internal_error(error: Exception) -> RiskscanError:
    fault = RiskscanError("The model failed on this document; the service's log says where.")
    fault.__cause__ = error
    return fault


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("The service is stopping; send the document again.")
