"""Observer: receives the events of a scan with durations and counts, never text.

Imports no metrics library: observability/metrics.py has the observer that counts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from service.errors import RiskscanError

Stage = Literal["extract", "segment", "analyze", "store"]
Rejection = Literal["overloaded", "expired", "abandoned", "shutting_down"]
"""Why a request was not scored: full queue, deadline passed, caller gone, threads ended."""
Upstream = Literal["llm", "ai_service"]
Callee = Upstream | Literal["sso", "indexer"]
"""Servers that this one calls: `sso` is the single sign-on provider, which gets no documents."""
ANSWERED = "answered"


@dataclass(slots=True)
class Call:
    """One request to another server, filled while it runs; it holds no content.

    `status` is the HTTP status, `error_code` that of our error. `sent_bytes` are those of the request's body
    that were given to the connection: 0 means that no data left the machine. Tokens are as the server reports
    them. `n_sentences` is None if a file is sent; `is_masked` says that personal data was masked before.
    """

    upstream: str
    host: str
    status: int | None = None
    error_code: str | None = None
    duration_s: float = 0.0
    sent_bytes: int = 0
    received_bytes: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    model: str | None = None
    n_sentences: int | None = None
    is_masked: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that the request also carries, such as those of a trace."""

    @property
    def outcome(self) -> str:
        """ANSWERED, or the error's code."""
        return self.error_code or ANSWERED


class Observer:
    """Ignores every event. A subclass overrides the methods of the events that it needs.

    The working thread calls these methods, so each returns at once and never raises.
    """

    def stage_ended(self, stage: Stage, seconds: float) -> None:
        """Receive the duration of one stage of a scan, which may have failed."""

    def taxonomy_opened(self, categories: Sequence[str]) -> None:
        """Receive the categories of a model that was opened to serve."""

    def scanned(self, source: str, n_sentences: int, categories: Sequence[str | None]) -> None:
        """Receive an answered scan with the category of each finding; None is a foreign category."""

    def shadowed(
        self, n_agreeing: int, n_only_serving: int, n_only_shadow: int, n_dropped: int
    ) -> None:
        """Receive the comparison of two models' findings, and the number of scans dropped since the last."""

    def report_dropped(self) -> None:
        """Receive the loss of one scan's report: the queue of reports was full."""

    def queued(self, tokens: int, requests: int) -> None:
        """Receive a change in the length of the model's queue; negative when a request leaves."""

    def waited(self, seconds: float) -> None:
        """Receive the time from a request's arrival to its first forward pass."""

    def rejected(self, reason: Rejection) -> None:
        """Receive the rejection of a request, or its removal from the queue."""

    def tokenized(self, seconds: float) -> None:
        """Receive the time to tokenize a request's sentences, or some of them."""

    def inferred(self, seconds: float, tokens: int, padded_tokens: int, rows: int) -> None:
        """Receive a forward pass over `rows` windows; `padded_tokens` are `tokens` and padding."""

    def cached(self, hits: int, misses: int) -> None:
        """Receive the hits and misses of the score cache, in sentences."""

    def call_headers(self) -> Mapping[str, str]:
        """Return the headers to add to a request to another server. Called in the caller's context."""
        return {}

    def called(self, call: Call) -> None:
        """Receive a request to another server, which has ended. Called in the caller's context."""

    def circuit_changed(self, upstream: Upstream, is_open: bool) -> None:
        """Receive that a server is no longer called, or is called again."""


NULL_OBSERVER = Observer()


class CallObservers(Observer):
    """Passes the requests to other servers on to several observers, and ignores every other event."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def call_headers(self) -> Mapping[str, str]:
        return {k: v for o in self._observers for k, v in o.call_headers().items()}

    def called(self, call: Call) -> None:
        for observer in self._observers:
            observer.called(call)

    def circuit_changed(self, upstream: Upstream, is_open: bool) -> None:
        for observer in self._observers:
            observer.circuit_changed(upstream, is_open)


class StageObservers(Observer):
    """Passes every event on to `main`, and the ends of stages to others too."""

    def __init__(self, main: Observer, *others: Observer) -> None:
        for name, member in vars(Observer).items():
            if callable(member) and not name.startswith("_") and name != "stage_ended":
                setattr(self, name, getattr(main, name))
        self._observers = (main, *others)

    def stage_ended(self, stage: Stage, seconds: float) -> None:
        for observer in self._observers:
            observer.stage_ended(stage, seconds)


@contextlib.contextmanager
def observe_stage(observer: Observer, stage: Stage) -> Iterator[None]:
    """Report the duration of the block to `observer`."""
    began_s = time.perf_counter()
    try:
        yield
    finally:
        observer.stage_ended(stage, time.perf_counter() - began_s)


@contextlib.contextmanager
def observe_call(observer: Observer, upstream: Callee, host: str) -> Iterator[Call]:
    """Yield the record of the block's request, and report it to `observer` at the end."""
    began_s = time.monotonic()
    call = Call(upstream, host, error_code=RiskscanError.code, headers=observer.call_headers())
    try:
        yield call
        call.error_code = None
    except RiskscanError as error:
        call.error_code = error.code
        raise
    finally:
        call.duration_s = time.monotonic() - began_s
        # A copy, since an abandoned request may go on in the background.
        observer.called(replace(call))
