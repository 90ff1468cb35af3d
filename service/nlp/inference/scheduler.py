"""The inference scheduler: batches the sentences of all callers through one engine.

Callers share the engine fairly, by tokens (start-time fair queueing, Goyal et al., SIGCOMM 1996): a paragraph
that arrives while a book is being scored waits for one forward pass, not for the book. Back-pressure: a
request that cannot finish before its deadline at the measured pace is rejected at once.
"""

from __future__ import annotations

import logging
import math
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from service.config.cpus import use_all_cpus
from service.errors import AnalyzerTimeout, Overloaded, RiskscanError, ShuttingDown
from service.nlp.arrays import Floats
from service.nlp.deadline import Deadline
from service.nlp.inference.engine import Engine, EngineOutOfMemory
from service.nlp.inference.neighbour_context import own_logits
from service.nlp.inference.requests import Request, Window, pad
from service.nlp.inference.tokenization import Windower
from service.nlp.observer import NULL_OBSERVER, Observer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_QUEUED_TOKENS = 8_000_000
"""About sixteen documents of 2 MB. A queued token takes about eight bytes."""

BACKGROUND_WEIGHT = 8
"""A caller who waits gets so many times the tokens of a background scan beside it."""
_PACE_DECAY = 0.9
"""Weight of the old pace in the moving average after each forward pass."""

_log = logging.getLogger(__name__)


class InferenceScheduler:
    """Scores the sentences of any number of callers with one engine. Thread-safe.

    `engine.limits.parallel_passes` threads run the forward passes. A batch holds windows of similar length
    from the waiting requests, least served first. It starts as soon as a thread is idle: no timer delays a
    lone caller, and requests that arrive during a pass join the next batch.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        *,
        n_types: int,
        max_length_tokens: int,
        max_queued_tokens: int = MAX_QUEUED_TOKENS,
        pace_tokens_s: float | None = None,
        observer: Observer = NULL_OBSERVER,
    ) -> None:
        """Prepare the scheduler; the first request starts its threads.

        `pace_tokens_s` is the assumed pace, in tokens per second, until the first forward pass.
        """
        self._engine = engine
        self._n_types = n_types
        self._limits = engine.limits
        self._tokens_per_pass = engine.limits.tokens
        self.windower = Windower(tokenizer, max_length_tokens)
        self._max_queued_tokens = max_queued_tokens
        self._observer = observer
        self._changed = threading.Condition()  # guards all fields below, and the requests
        # Requests that still have windows in no batch, in order of arrival.
        self._queue: list[Request] = []
        # Every request from the call of `outputs` to its return, by id().
        self._in_flight: dict[int, Request] = {}
        # Virtual time of the least served request when the last batch was formed.
        self._virtual_time = 0.0
        self._pace_tokens_s = pace_tokens_s
        self._is_closing = False
        self._threads: list[threading.Thread] = []

    @property
    def n_outputs(self) -> int:
        """Width of the result of `outputs`."""
        return self._engine.n_outputs

    def outputs(
        self,
        sentences: Sequence[str],
        *,
        deadline: Deadline | None = None,
        leave_below: float = -math.inf,
    ) -> Floats:
        """Return float32 (len(sentences), n_outputs), rows in the order of `sentences`.

        A sentence longer than the model's window is scored in overlapping windows: its logits are the maximum
        over them, its influence on neighbours the mean. Sentences whose exit score is below `leave_below`
        may leave the network early: their logits are then -inf (Engine.early_outputs).

        Raises:
            AnalyzerTimeout: `deadline` passed; the rest of the work is dropped.
            Overloaded: the queue is full, or too long to finish before `deadline`.
            ShuttingDown: the scheduler was closed.
            RiskscanError: the model failed on these sentences (internal_error).
        """
        outputs = np.zeros((len(sentences), self.n_outputs), np.float32)
        own_logits(outputs, self._n_types)[:] = -np.inf
        if not sentences:
            return outputs
        request = Request(deadline, outputs, self._n_types, leave_below)
        if deadline is not None and deadline.is_background:
            request.weight = BACKGROUND_WEIGHT
        for row, windows in enumerate(self._tokenize(sentences)):
            request.add_sentence(row, windows)
        request.windows.sort(key=lambda w: len(w.ids))
        n_tokens = request.n_tokens
        self._enqueue(request)
        try:
            request.wait()
        finally:
            with self._changed:
                request.is_abandoned = True
                del self._in_flight[id(request)]
            self._observer.queued(-n_tokens, -1)
        return _result(request)

    def is_alive(self) -> bool:
        """Return whether the scheduler takes requests."""
        return not self._is_closing and all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """End the threads after the passes in progress; waiting callers get ShuttingDown."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for request in self._queue:
            request.fail(_shutting_down())

    def _tokenize(self, sentences: Sequence[str]) -> list[list[list[int]]]:
        """Return the token ids of each sentence's windows."""
        began_s = time.perf_counter()
        try:
            windows = self.windower.windows(sentences)
        except Exception as error:
            _log_failure(error)
            raise _internal_error(error) from error
        self._observer.tokenized(time.perf_counter() - began_s)
        return windows

    def _enqueue(self, request: Request) -> None:
        with self._changed:
            if self._is_closing:
                self._observer.rejected("shutting_down")
                raise _shutting_down()
            self._check_load(request)
            self._start_threads()
            request.virtual_time = self._virtual_time
            self._in_flight[id(request)] = request
            self._queue.append(request)
            self._observer.queued(request.n_tokens, 1)
            self._changed.notify()

    def _check_load(self, request: Request) -> None:
        """Raise Overloaded if the queue is full or `request` would miss its deadline."""
        n_queued = sum(r.n_tokens for r in self._in_flight.values())
        if self._in_flight and n_queued + request.n_tokens > self._max_queued_tokens:
            self._observer.rejected("overloaded")
            raise Overloaded("Too much text is queued already. Try again in a few seconds.")
        if self._pace_tokens_s is None or request.deadline is None:
            return
        # Fair queueing serves each other request at most as many tokens as this one meanwhile, by weight.
        n_ahead = sum(
            min(r.n_tokens, request.n_tokens * request.weight // r.weight)
            for r in self._in_flight.values()
        )
        needed_s = (n_ahead + request.n_tokens) / self._pace_tokens_s
        if n_ahead and needed_s > request.deadline.remaining_s():
            self._observer.rejected("overloaded")
            raise Overloaded(
                "Too much text is queued to scan this document in time. Try again in a few seconds."
            )

    def _start_threads(self) -> None:
        if not self._threads:
            self._threads = [
                threading.Thread(target=self._run, name=f"inference-{n}", daemon=True)
                for n in range(self._limits.parallel_passes)
            ]
            for thread in self._threads:
                thread.start()

    def _run(self) -> None:
        use_all_cpus()
        while batch := self._next_batch():
            self._process(batch)

    def _next_batch(self) -> list[Window]:
        """Wait for windows and return the next batch; an empty one ends the thread."""
        with self._changed:
            while not self._is_closing:
                self._queue = [r for r in self._queue if r.windows and self._is_wanted(r)]
                if self._queue:
                    batch = self._take_batch()
                    if any(r.windows for r in self._queue):
                        self._changed.notify()
                    return batch
                self._changed.wait()
            return []

    def _is_wanted(self, request: Request) -> bool:
        """Return whether a caller still waits for `request`; if not, report that it is dropped."""
        if request.is_finished:
            return False
        if request.deadline is not None and request.deadline.remaining_s() == 0.0:
            self._observer.rejected("expired")
            return False
        if request.is_abandoned:
            self._observer.rejected("abandoned")
        return not request.is_abandoned

    def _take_batch(self) -> list[Window]:
        """Take the longest windows of the least served request, then similar ones of the others.

        A window joins only if padding it costs less than another forward pass. Background windows do not
        join the pass of a caller who waits, which would take longer.
        """
        by_service = sorted(self._queue, key=lambda r: r.virtual_time)
        self._virtual_time = by_service[0].virtual_time
        longest = len(by_service[0].windows[-1].ids)
        n_rows = max(1, self._tokens_per_pass // longest)
        padding = self._limits.overhead_tokens
        batch: list[Window] = []
        for request in by_service:
            if request.weight > by_service[0].weight:
                continue
            windows = request.take(n_rows - len(batch), longest, padding)
            if windows and not request.has_begun:
                request.has_begun = True
                self._observer.waited(time.monotonic() - request.arrived_s)
            padding -= sum(longest - len(w.ids) for w in windows)
            request.virtual_time += longest * len(windows) * request.weight
            batch += windows
            if len(batch) == n_rows:
                break
        return batch

    def _process(self, batch: list[Window]) -> None:
        """Score a batch. If that fails, score each request's windows alone, to fail only the faulty one."""
        try:
            self._forward(batch)
        except EngineOutOfMemory as error:
            self._process_halves(batch, error)
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must survive
            _log_failure(error)
            requests = list(dict.fromkeys(w.request for w in batch))
            if len(requests) == 1:
                requests[0].fail(_internal_error(error))
                return
            for request in requests:
                self._process([w for w in batch if w.request is request])

    def _process_halves(self, batch: list[Window], error: EngineOutOfMemory) -> None:
        """Halve the batch, and the size of all later batches."""
        if len(batch) == 1:
            _log_failure(error)
            batch[0].request.fail(_internal_error(error))
            return
        half = len(batch) // 2
        self._tokens_per_pass = max(1, half * max(len(w.ids) for w in batch))
        _log.warning("out of memory: batches have %d tokens from now on", self._tokens_per_pass)
        self._process(batch[:half])
        self._process(batch[half:])

    def _forward(self, batch: list[Window]) -> None:
        """Run one forward pass and store its outputs."""
        ids, mask = pad([w.ids for w in batch])
        leave_below = np.array([w.leave_below for w in batch], np.float32)
        began_s = time.perf_counter()
        outputs = self._engine.early_outputs(ids, mask, leave_below)
        duration_s = time.perf_counter() - began_s
        if outputs.shape != (len(batch), self.n_outputs):
            raise ValueError(f"the engine returned {outputs.shape} for {len(batch)} windows")
        n_tokens = sum(len(window.ids) for window in batch)
        self._observer.inferred(duration_s, n_tokens, ids.size, len(batch))
        with self._changed:
            self._update_pace(n_tokens / max(duration_s, 1e-6))
            for window, row in zip(batch, outputs, strict=True):
                window.request.store(window, row)

    def _update_pace(self, tokens_s: float) -> None:
        """Update the moving average with one pass; `limits.parallel_passes` passes run in parallel."""
        old, new = self._pace_tokens_s, tokens_s * self._limits.parallel_passes
        self._pace_tokens_s = new if old is None else old + (1 - _PACE_DECAY) * (new - old)


def _result(request: Request) -> Floats:
    if request.error is not None:
        raise request.error
    if request.is_finished:
        return request.outputs
    if request.deadline is not None:
        request.deadline.check()
    raise AnalyzerTimeout("The analysis did not end in time. Try again.")


def _log_failure(error: Exception) -> None:
    """Log where the model failed, but not the exception's message, which may quote the document."""
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    _log.error("the model failed: %s at %s", type(error).__name__, where)


def _internal_error(error: Exception) -> RiskscanError:
    fault = RiskscanError("The model failed on this document; the service's log says where.")
    fault.__cause__ = error
    return fault


def _shutting_down() -> ShuttingDown:
    return ShuttingDown("The service is stopping; send the document again.")
