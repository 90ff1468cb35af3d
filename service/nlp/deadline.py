"""The deadline of a scan, which all of its steps share."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from service.errors import AnalyzerTimeout

RAISE_THE_LIMIT = (
    "send it to POST /api/scan with the header `Prefer: respond-async`, or ask the operator to raise "
    "AI_TIMEOUT_S and the time-out of the proxy in front together"
)
"""Remedy for HTTP callers who need more time."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock, in seconds. `remedy` tells the caller how to get more time.

    It passes early if `ended` is set, since nobody wants the result any more. A scan for which nobody waits
    `is_background`: it leaves the model to the others.
    """

    at_s: float
    budget_s: float
    remedy: str = RAISE_THE_LIMIT
    is_background: bool = False
    ended: threading.Event | None = None

    @classmethod
    def after(cls, budget_s: float, *, remedy: str = RAISE_THE_LIMIT) -> Deadline:
        """Return the deadline `budget_s` seconds from now."""
        return cls(time.monotonic() + budget_s, budget_s, remedy)

    @classmethod
    def in_background(
        cls, budget_s: float, *, remedy: str, ended: threading.Event | None = None
    ) -> Deadline:
        """Return the deadline of a scan for which nobody waits."""
        at_s = time.monotonic() + budget_s
        return cls(at_s, budget_s, remedy, is_background=True, ended=ended)

    def remaining_s(self) -> float:
        """Return the seconds left, at least zero."""
        if self.ended is not None and self.ended.is_set():
            return 0.0
        return max(0.0, self.at_s - time.monotonic())

    def check(self) -> None:
        """Raise AnalyzerTimeout if the deadline has passed."""
        if self.remaining_s() == 0.0:
            raise self.error("The scan")

    def error(self, step: str) -> AnalyzerTimeout:
        """Return the error for a step that took too long; `step` begins the message, so it is capitalized."""
        return AnalyzerTimeout(
            f"{step} did not end within {self.budget_s:g} s. Split the document, or {self.remedy}."
        )
