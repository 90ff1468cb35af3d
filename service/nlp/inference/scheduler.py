"""Many callers, one engine: sentences of like length travel together, whoever sent them.

Callers share the engine fairly, by tokens (start-time fair queueing, Goyal et al., SIGCOMM 1996): a paragraph
that comes while a book is being read waits for one pass, not for the book. What cannot be read before its
deadline at this pace is refused at once.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from service.errors import AnalyzerTimeout, Overloaded, RiskscanError, ShuttingDown
from service.nlp.arrays import Scores
from service.nlp.deadline import Deadline
from service.nlp.inference.engine import Engine, EngineOutOfMemory
from service.nlp.inference.neighbour_context import own_logits
from service.nlp.inference.requests import Request, Window, padded
from service.nlp.inference.tokenization import Windower
from service.nlp.observer import NOBODY, Observer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_QUEUED_TOKENS = 8_000_000
"""About as many as sixteen documents of 2 MB; of each some eight bytes are held."""

_PACE_MEMORY = 0.9
"""Share of the old pace in the new one, pass by pass."""

log = logging.getLogger(__name__)


class InferenceScheduler:
    """Scores the sentences of any number of callers with one engine.

    As many threads as the engine runs passes at once take them in turn. Each pass has windows of like length
    from the waiting requests, of the least served first. It begins as soon as a thread is idle: no timer
    delays a lone caller, and while the passes run the next ones fill up.
    """

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        *,
        max_length_tokens: int,
        max_queued_tokens: int = MAX_QUEUED_TOKENS,
        pace_tokens_s: float | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        """Start the threads. `pace_tokens_s` is the assumed speed until the first pass is measured."""
        self._engine = engine
        self._limits = engine.limits
        self._tokens_per_pass = engine.limits.tokens
        self._windower = Windower(tokenizer, max_length_tokens)
        self._max_queued_tokens = max_queued_tokens
        self._observer = observer
        self._changed = threading.Condition()  # guards all that follows, and the requests
        self._waiting: list[
            Request
        ] = []  # with windows that no pass has taken, in order of arrival
        self._open: dict[int, Request] = {}  # from the call to its answer
        self._served = 0.0  # of the request that the last pass was for
        self._pace_tokens_s = pace_tokens_s
        self._closing = False
        self._threads = [
            threading.Thread(target=self._run, name=f"inference-{n}", daemon=True)
            for n in range(engine.limits.at_once)
        ]
        for thread in self._threads:
            thread.start()

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
            ShuttingDown: the threads were ended.
        """
        outputs = np.zeros((len(sentences), self.n_outputs), np.float32)
        own_logits(outputs)[:] = -np.inf
        if not sentences:
            return outputs
        request = Request(deadline, outputs)
        for row, windows in enumerate(self._windows(sentences)):
            request.add(row, windows)
        request.windows.sort(key=lambda w: len(w.ids))
        self._enqueue(request)
        try:
            request.wait()
        finally:
            with self._changed:
                request.abandoned = True
                del self._open[id(request)]
                self._tell_queue()
        return _result(request)

    def is_alive(self) -> bool:
        """Return whether the threads still take work."""
        return all(thread.is_alive() for thread in self._threads) and not self._closing

    def close(self) -> None:
        """End the threads after the passes in flight; whoever still waits gets ShuttingDown."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for request in self._waiting:
            request.fail(_shutting_down())

    def _windows(self, sentences: Sequence[str]) -> list[list[list[int]]]:
        """Return the token ids of each sentence's windows."""
        began_s = time.perf_counter()
        try:
            found = self._windower.windows(sentences)
        except Exception as error:
            _log_failure(error)
            raise _internal_error(error) from error
        self._observer.tokenized(time.perf_counter() - began_s)
        return found

    def _enqueue(self, request: Request) -> None:
        with self._changed:
            if self._closing:
                self._observer.rejected("shutting_down")
                raise _shutting_down()
            self._refuse_too_much(request)
            request.served = self._served
            self._open[id(request)] = request
            self._waiting.append(request)
            self._tell_queue()
            self._changed.notify()

    def _refuse_too_much(self, request: Request) -> None:
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
        while windows := self._next_pass():
            self._forward(windows)

    def _next_pass(self) -> list[Window]:
        """Wait for windows and take those of the next pass; none when the threads are to end."""
        with self._changed:
            while not self._closing:
                self._waiting = [r for r in self._waiting if r.windows and self._is_wanted(r)]
                if self._waiting:
                    taken = self._take()
                    if any(r.windows for r in self._waiting):
                        self._changed.notify()
                    return taken
                self._changed.wait()
            return []

    def _is_wanted(self, request: Request) -> bool:
        if request.is_finished:
            return False
        if request.deadline is not None and request.deadline.remaining_s() == 0.0:
            self._observer.rejected("expired")
            return False
        if request.abandoned:
            self._observer.rejected("abandoned")
        return not request.abandoned

    def _take(self) -> list[Window]:
        """Take the least served request's longest windows, then others' that are nearly as long.

        A row is padded to the longest only where that costs less than to begin a pass for it.
        """
        in_turn = sorted(self._waiting, key=lambda r: r.served)
        self._served = in_turn[0].served
        longest = len(in_turn[0].windows[-1].ids)
        n_rows = max(1, self._tokens_per_pass // longest)
        padding = self._limits.overhead_tokens
        taken: list[Window] = []
        for request in in_turn:
            found = request.take(n_rows - len(taken), longest, padding)
            if found and not request.has_begun:
                request.has_begun = True
                self._observer.waited(time.monotonic() - request.arrived_s)
            padding -= sum(longest - len(w.ids) for w in found)
            request.served += longest * len(found)
            taken += found
            if len(taken) == n_rows:
                break
        return taken

    def _forward(self, windows: list[Window]) -> None:
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

    def _forward_halves(self, windows: list[Window], error: EngineOutOfMemory) -> None:
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

    def _score(self, windows: list[Window]) -> None:
        ids, mask = padded([w.ids for w in windows])
        began_s = time.perf_counter()
        outputs = self._engine.outputs(ids, mask)
        duration_s = time.perf_counter() - began_s
        if outputs.shape != (len(windows), self.n_outputs):
            raise ValueError(f"the engine gave {outputs.shape} for {len(windows)} windows")
        n_tokens = sum(len(window.ids) for window in windows)
        self._observer.inferred(duration_s, n_tokens, ids.size, len(windows))
        with self._changed:
            self._remember_pace(n_tokens / max(duration_s, 1e-6))
            for window, row in zip(windows, outputs, strict=True):
                window.keep(row)

    def _remember_pace(self, tokens_s: float) -> None:
        """Take in the pace of one pass; as many as the engine takes at once run beside it."""
        old, new = self._pace_tokens_s, tokens_s * self._limits.at_once
        self._pace_tokens_s = new if old is None else old + (1 - _PACE_MEMORY) * (new - old)


def _result(request: Request) -> Scores:
    if request.error is not None:
        raise request.error
    if request.is_finished:
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
