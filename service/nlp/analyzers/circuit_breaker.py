"""Circuit breaker: after repeated failures of a server, refuses calls for a while."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator

from service.errors import AnalyzerTimeout, AnalyzerUnavailable, Unavailable

MAX_FAILURES = 5
PAUSE_S = 30.0


class CircuitBreaker:
    """Opens after MAX_FAILURES failures in a row; PAUSE_S later one call at a time tries again. Thread-safe.

    No connection, no answer in time, and the statuses 429 and 503 are failures. Any other answer closes it.
    """

    def __init__(
        self,
        server: str,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        on_change: Callable[[bool], None] = lambda _is_open: None,
        unavailable: type[Unavailable] = AnalyzerUnavailable,
    ) -> None:
        """`server` names it in messages; `on_change` receives whether the breaker is open.

        `unavailable` is the error of a failure, and of a call that an open breaker refuses.
        """
        self._unavailable = unavailable
        self._server = server
        self._clock_s = clock_s
        self._on_change = on_change
        self._lock = threading.Lock()
        self._n_failures = 0
        self._open_until_s: float | None = None
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, but for a trial now and then."""
        with self._lock:
            return self._open_until_s is not None

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """Run a call to the server in the block, and learn from its outcome.

        Raises:
            Unavailable: the breaker is open; the block does not run.
        """
        is_trial = self._admit()
        has_answered = True
        try:
            yield
        except (self._unavailable, AnalyzerTimeout):
            has_answered = False
            raise
        finally:
            self._learn(has_answered=has_answered, is_trial=is_trial)

    def _admit(self) -> bool:
        """Return whether the call is the trial of an open breaker; raise if it may not run."""
        with self._lock:
            if self._open_until_s is None:
                return False
            left_s = self._open_until_s - self._clock_s()
            if left_s <= 0 and not self._is_trying:
                self._is_trying = True
                return True
        raise self._unavailable(
            f"{self._server} has failed {MAX_FAILURES} times in a row, so it is not called for a while. "
            "Check that it runs.",
            retry_after_s=max(1, math.ceil(left_s)),
        )

    def _learn(self, *, has_answered: bool, is_trial: bool) -> None:
        with self._lock:
            was_open = self._open_until_s is not None
            if is_trial:
                self._is_trying = False
            self._n_failures = 0 if has_answered else self._n_failures + 1
            if has_answered:
                self._open_until_s = None
            elif is_trial or self._n_failures >= MAX_FAILURES:
                self._open_until_s = self._clock_s() + PAUSE_S
            is_open = self._open_until_s is not None
        if is_open != was_open:
            self._on_change(is_open)
