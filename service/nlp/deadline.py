"""The deadline of a scan, which all of its steps share."""

from __future__ import annotations

import time
from dataclasses import dataclass

from service.errors import AnalyzerTimeout

RAISE_THE_LIMIT = (
    "ask the operator to raise AI_TIMEOUT_S and the time-out of the proxy in front together"
)
"""Remedy for HTTP callers who need more time."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock, in seconds. `remedy` tells the caller how to get more time."""

    at_s: float
    budget_s: float
    remedy: str = RAISE_THE_LIMIT

    @classmethod
    def after(cls, budget_s: float, *, remedy: str = RAISE_THE_LIMIT) -> Deadline:
        """Return the deadline `budget_s` seconds from now."""
        return cls(time.monotonic() + budget_s, budget_s, remedy)

    def remaining_s(self) -> float:
        """Return the seconds left, at least zero."""
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
