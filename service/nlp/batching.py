"""Many callers, one inference thread, one forward pass.

The thread alone owns tokenizer and engine: a fast tokenizer shared by threads truncates wrongly
without an error, and two forward passes at once are slower than one after the other.

Callers share the engine fairly, by tokens (start-time fair queueing, Goyal et al., SIGCOMM 1996): a paragraph
that comes while a book is being read waits for one pass, not for the book. What cannot be read before its
deadline at this pace is refused at once.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from service.errors import AnalyzerTimeout, Overloaded, RiskscanError, ShuttingDown
from service.nlp.analyzer import Deadline, Scores
from service.nlp.engines import EngineOutOfMemory
from service.nlp.neighbours import N_TYPES, own_logits
from service.nlp.observing import NOBODY, Observer
from service.nlp.windows import Windower

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Ids = npt.NDArray[np.int64]

# Padding included. On one core 1,024 gave 380 sentences/s, 4,096 gave 276 (its activations leave the
# cache); a GPU wants many more. November 2026.
TOKENS_PER_PASS = {"cpu": 1_024, "cuda": 32_768}

MAX_QUEUED_TOKENS = 8_000_000
"""About as many as sixteen documents of 2 MB; of each some eight bytes are held."""

_TOKENS_PER_CHAR = 0.25
"""Of English prose; an estimate, until the sentences have been cut into tokens."""
_PACE_MEMORY = 0.9
"""Share of the old pace in the new one, pass by pass."""

log = logging.getLogger(__name__)


class Network(Protocol):
    """The part of an engine that batching needs."""

    n_outputs: int

    def outputs(self, input_ids: Ids, attention_mask: Ids) -> Scores:
        """Return float32 (b, n_outputs) for int64 (b, t) ids and mask."""


@dataclass(eq=False, slots=True)
class _Window:
    request: _Request
    row: int
    ids: list[int]
    share: float
    """One part in as many as the sentence has windows."""


@dataclass(eq=False)
class _Request:
    """One caller's sentences on their way; `finished` wakes the caller."""

    sentences: Sequence[str]
    deadline: Deadline | None
    outputs: Scores
    n_tokens: int
    """That wait, with [CLS] and [SEP]; estimated until they are counted."""
    served: float = 0.0
    """Tokens that the engine has read for it, from those on that others had when it came."""
    windows: list[_Window] = field(default_factory=list)
    """Shortest first."""
    n_windows_left: int = 0
    arrived_s: float = field(default_factory=time.monotonic)
    error: RiskscanError | None = None
    abandoned: bool = False
    finished: threading.Event = field(default_factory=threading.Event)

    def fail(self, error: RiskscanError) -> None:
        self.error = error
        self.finished.set()

    def take(self, n: int, longest: int) -> list[_Window]:
        """Remove and return up to `n` windows of at most `longest` tokens, the longest of them."""
        end = bisect_left(self.windows, longest + 1, key=lambda w: len(w.ids))
        begin = max(0, end - n)
        taken = self.windows[begin:end]
        del self.windows[begin:end]
        return taken


class InferenceThread:
    """Scores the sentences of any number of callers with one engine.

    Each forward pass takes windows of similar length from the waiting requests, of the least served
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
        max_queued_tokens: int = MAX_QUEUED_TOKENS,
        observer: Observer = NOBODY,
    ) -> None:
        self._engine = engine
        self._windower = Windower(tokenizer, max_length_tokens)
        self._tokens_per_pass = tokens_per_pass
        self._max_queued_tokens = max_queued_tokens
        self._observer = observer
        self._arrived: deque[_Request] = deque()
        self._waiting: list[_Request] = []  # the thread's own, in order of arrival
        self._served = 0.0  # of the request that the last pass was for
        self._changed = threading.Condition()
        self._open: dict[int, _Request] = {}  # from the call to its answer
        self._pace_tokens_s: float | None = None
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
            Overloaded: too much waits already, or too much to be done before `deadline`.
            ShuttingDown: the thread was closed.
        """
        outputs = np.zeros((len(sentences), self.n_outputs), np.float32)
        own_logits(outputs)[:] = -np.inf
        if not sentences:
            return outputs
        request = _Request(sentences, deadline, outputs, n_tokens=_estimated_tokens(sentences))
        self._enqueue(request)
        try:
            request.finished.wait(None if deadline is None else deadline.remaining_s())
        finally:
            request.abandoned = True
            with self._changed:
                del self._open[id(request)]
                self._tell_queue()
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
                self._observer.rejected("shutting_down")
                raise _shutting_down()
            self._refuse_too_much(request)
            self._open[id(request)] = request
            self._arrived.append(request)
            self._tell_queue()
            self._changed.notify()

    def _refuse_too_much(self, request: _Request) -> None:
        queued = sum(r.n_tokens for r in self._open.values())
        if self._open and queued + request.n_tokens > self._max_queued_tokens:
            self._observer.rejected("overloaded")
            raise Overloaded("Too much text waits already. Try again in a few seconds.")
        if self._pace_tokens_s is None or request.deadline is None:
            return
        # of each other request as much is read meanwhile as of this one, at most
        ahead = sum(min(r.n_tokens, request.n_tokens) for r in self._open.values())
        needed_s = (ahead + request.n_tokens) / self._pace_tokens_s
        if ahead and needed_s > request.deadline.remaining_s():
            self._observer.rejected("overloaded")
            raise Overloaded(
                "With what waits already this would not be read in time. Try again in a few seconds."
            )

    def _tell_queue(self) -> None:
        self._observer.queue(sum(r.n_tokens for r in self._open.values()), len(self._open))

    def _run(self) -> None:
        while self._admit():
            self._waiting = [r for r in self._waiting if r.windows and self._is_wanted(r)]
            if self._waiting:
                self._forward(self._next_pass())
        for request in [*self._arrived, *self._waiting]:
            request.fail(_shutting_down())

    def _admit(self) -> bool:
        """Take in what has arrived, waiting for it when there is nothing else to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._arrived or self._waiting or self._closing)
            if self._closing:
                return False
            arrived = [request for request in self._arrived if self._is_wanted(request)]
            self._arrived.clear()
        if arrived:
            self._tokenize(arrived)
        return True

    def _is_wanted(self, request: _Request) -> bool:
        if request.finished.is_set():
            return False
        if request.deadline is not None and request.deadline.remaining_s() == 0.0:
            self._observer.rejected("expired")
            return False
        if request.abandoned:
            self._observer.rejected("abandoned")
        return not request.abandoned

    def _tokenize(self, arrived: list[_Request]) -> None:
        """Cut the sentences of all into windows at once; where that fails, those of each request alone."""
        began_s = time.perf_counter()
        try:
            windows = self._windower.windows([s for r in arrived for s in r.sentences])
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must outlive any
            _log_failure(error)
            if len(arrived) == 1:
                arrived[0].fail(_internal_error(error))
                return
            for request in arrived:
                self._tokenize([request])
            return
        self._observer.tokenized(time.perf_counter() - began_s)
        parts = iter(windows)
        for request in arrived:
            for row in range(len(request.sentences)):
                found = next(parts)
                request.windows += [_Window(request, row, ids, 1 / len(found)) for ids in found]
            request.windows.sort(key=lambda w: len(w.ids))
            request.n_windows_left = len(request.windows)
            request.n_tokens = sum(len(w.ids) for w in request.windows)
            request.served = self._served
            self._observer.waited(time.monotonic() - request.arrived_s)
            self._waiting.append(request)

    def _next_pass(self) -> list[_Window]:
        """Take the least served request's longest windows, then others' that are no longer than these."""
        in_turn = sorted(self._waiting, key=lambda r: r.served)
        self._served = in_turn[0].served
        longest = len(in_turn[0].windows[-1].ids)
        n_rows = max(1, self._tokens_per_pass // longest)
        taken: list[_Window] = []
        for request in in_turn:
            found = request.take(n_rows - len(taken), longest)
            request.served += longest * len(found)
            taken += found
            if len(taken) == n_rows:
                break
        return taken

    def _forward(self, windows: list[_Window]) -> None:
        """Score windows of any requests; where that fails, those of each request alone."""
        try:
            self._score(windows)
        except EngineOutOfMemory as error:
            self._forward_halves(windows, error)
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must outlive any
            _log_failure(error)
            requests = list(dict.fromkeys(w.request for w in windows))
            if len(requests) == 1:
                requests[0].fail(_internal_error(error))
                return
            for request in requests:
                self._forward([w for w in windows if w.request is request])

    def _forward_halves(self, windows: list[_Window], error: EngineOutOfMemory) -> None:
        """Score half as many at once, now and from now on."""
        if len(windows) == 1:
            _log_failure(error)
            windows[0].request.fail(_internal_error(error))
            return
        half = len(windows) // 2
        self._tokens_per_pass = max(1, half * max(len(w.ids) for w in windows))
        log.warning("out of memory: passes have %d tokens from now on", self._tokens_per_pass)
        self._forward(windows[:half])
        self._forward(windows[half:])

    def _score(self, windows: list[_Window]) -> None:
        ids, mask = _padded([w.ids for w in windows])
        began_s = time.perf_counter()
        outputs = self._engine.outputs(ids, mask)
        duration_s = time.perf_counter() - began_s
        if outputs.shape != (len(windows), self.n_outputs):
            raise ValueError(f"the engine gave {outputs.shape} for {len(windows)} windows")
        n_tokens = int(mask.sum())
        self._observer.inferred(duration_s, n_tokens, ids.size, len(windows))
        self._remember_pace(n_tokens / max(duration_s, 1e-6))
        for window, row in zip(windows, outputs, strict=True):
            own, of_others = np.split(window.request.outputs[window.row], [N_TYPES])
            np.maximum(own, row[:N_TYPES], out=own)
            of_others += window.share * row[N_TYPES:]
            window.request.n_tokens -= len(window.ids)
            window.request.n_windows_left -= 1
            if window.request.n_windows_left == 0:
                window.request.finished.set()

    def _remember_pace(self, tokens_s: float) -> None:
        old = self._pace_tokens_s
        self._pace_tokens_s = (
            tokens_s if old is None else old + (1 - _PACE_MEMORY) * (tokens_s - old)
        )


def _estimated_tokens(sentences: Sequence[str]) -> int:
    return sum(2 + round(_TOKENS_PER_CHAR * len(sentence)) for sentence in sentences)


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
