"""What analyzers tell of their work while they do it: durations, sizes, refusals; never a word of text.

Whoever wires them passes an Observer; by default nobody is told. Imports no metrics library.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Literal, Protocol

from service.errors import RiskscanError

Rejection = Literal["overloaded", "expired", "abandoned", "shutting_down"]
"""Why work left the queue unscored: no room, its deadline passed, its caller went, the thread ended."""
Upstream = Literal["llm", "ai_service"]
ANSWERED = "answered"


class Observer(Protocol):
    """Is told by whichever thread does the work; a method returns at once and never raises."""

    def waited(self, seconds: float) -> None:
        """Tell how long a request waited between its arrival and its first forward pass."""

    def tokenized(self, seconds: float) -> None:
        """Tell what it took to turn a request's sentences, or a slice of them, into tokens."""

    def inferred(self, seconds: float, tokens: int, padded_tokens: int, rows: int) -> None:
        """Tell of a forward pass over `rows` windows that hold `tokens`, `padded_tokens` with padding."""

    def queue(self, tokens: int, requests: int) -> None:
        """Tell what waits now, at each change, in the order of the changes; zeros at the end."""

    def rejected(self, reason: Rejection) -> None:
        """Tell that a request was not taken, or was dropped."""

    def cached(self, hits: int, misses: int) -> None:
        """Tell how many sentences' scores were known already, and how many not."""

    def called(self, upstream: Upstream, outcome: str, seconds: float) -> None:
        """Tell of a request to another server; `outcome` is ANSWERED or the error's code."""


class NullObserver:
    """Is told everything and does nothing."""

    def waited(self, seconds: float) -> None:
        pass

    def tokenized(self, seconds: float) -> None:
        pass

    def inferred(self, seconds: float, tokens: int, padded_tokens: int, rows: int) -> None:
        pass

    def queue(self, tokens: int, requests: int) -> None:
        pass

    def rejected(self, reason: Rejection) -> None:
        pass

    def cached(self, hits: int, misses: int) -> None:
        pass

    def called(self, upstream: Upstream, outcome: str, seconds: float) -> None:
        pass


NOBODY: Observer = NullObserver()


@contextlib.contextmanager
def call_told(observer: Observer, upstream: Upstream) -> Iterator[None]:
    """Tell `observer` how the request to another server within the block ended."""
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
