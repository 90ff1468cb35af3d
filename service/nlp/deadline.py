"""The deadline of a scan, which every step shares."""

from __future__ import annotations

import time
from dataclasses import dataclass

from service.errors import AnalyzerTimeout

RAISE_THE_LIMIT = (
    "ask the operator to raise AI_TIMEOUT_S and the time-out of the proxy in front together"
)
"""How an HTTP caller gets more time for a scan."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """The deadline of a scan, in seconds on the monotonic clock.

    `remedy` tells the caller how to get more time.
    """

    at_s: float
    budget_s: float
    remedy: str = RAISE_THE_LIMIT

    @classmethod
    def after(cls, budget_s: float, *, remedy: str = RAISE_THE_LIMIT) -> Deadline:
        """Return the deadline `budget_s` seconds from now."""
        return cls(time.monotonic() + budget_s, budget_s, remedy)

    def remaining_s(self) -> float:
        """Return the seconds left, zero when none are."""
        return max(0.0, self.at_s - time.monotonic())

    def check(self) -> None:
        """Raise AnalyzerTimeout when the moment has passed."""
        if self.remaining_s() == 0.0:
            raise self.error("The scan")

    def error(self, slow: str) -> AnalyzerTimeout:
        """Return the error for a step `slow` that took too long, with the remedies."""
        return AnalyzerTimeout(
            f"{slow} did not end within {self.budget_s:g} s. Split the document, or {self.remedy}."
        )
