"""Observer: receives what happens while documents are scanned. Durations and counts, never text.

Imports no metrics library: observability/metrics.py has the observer that counts.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Literal

from service.errors import RiskscanError

Stage = Literal["extract", "segment", "analyze", "store"]
Rejection = Literal["overloaded", "expired", "abandoned", "shutting_down"]
"""Why a request left the queue unscored: no room, deadline passed, caller gone, threads ended."""
Upstream = Literal["llm", "ai_service"]
ANSWERED = "answered"


class Observer:
    """Ignores every event. A subclass overrides the methods of the events that it needs.

    The thread that does the work calls the method, so a method returns at once and never raises.
    """

    def stage_ended(self, stage: Stage, seconds: float) -> None:
        """Receive the duration of one stage of a scan, whether it failed or not."""

    def scanned(self, source: str, n_sentences: int, categories: Sequence[str | None]) -> None:
        """Receive an answered scan with the category of each finding; None is a foreign category."""

    def shadowed(
        self, n_agreeing: int, n_only_serving: int, n_only_shadow: int, n_dropped: int
    ) -> None:
        """Receive how the findings of two models compare, and how many scans were dropped before."""

    def report_dropped(self) -> None:
        """Receive that a scan was not counted, since too many reports waited."""

    def queued(self, tokens: int, requests: int) -> None:
        """Receive a change of what waits for the model; negative when a request leaves."""

    def waited(self, seconds: float) -> None:
        """Receive the time from a request's arrival to its first forward pass."""

    def rejected(self, reason: Rejection) -> None:
        """Receive that a request was rejected or dropped."""

    def tokenized(self, seconds: float) -> None:
        """Receive the duration of tokenizing a request's sentences, or a slice of them."""

    def inferred(self, seconds: float, tokens: int, padded_tokens: int, rows: int) -> None:
        """Receive a forward pass over `rows` windows; `padded_tokens` are `tokens` and padding."""

    def cached(self, hits: int, misses: int) -> None:
        """Receive how many sentences the score cache had, and how many it had not."""

    def called(self, upstream: Upstream, outcome: str, seconds: float) -> None:
        """Receive a request to another server; `outcome` is ANSWERED or the error's code."""


NULL_OBSERVER = Observer()


@contextlib.contextmanager
def observe_stage(observer: Observer, stage: Stage) -> Iterator[None]:
    """Report the duration of the block to `observer`."""
    began_s = time.perf_counter()
    try:
        yield
    finally:
        observer.stage_ended(stage, time.perf_counter() - began_s)


@contextlib.contextmanager
def observe_call(observer: Observer, upstream: Upstream) -> Iterator[None]:
    """Report the outcome and duration of the block's request to `observer`."""
    began_s = time.monotonic()
    outcome = RiskscanError.code
    try:
        yield
        outcome = ANSWERED
    except RiskscanError as error:
        outcome = error.code
        raise
    finally:
        observer.called(upstream, outcome, time.monotonic() - began_s)
