"""Rates of rare events with their intervals. Pure functions, no database."""

from __future__ import annotations

import math
from dataclasses import dataclass

METHOD = "Poisson, 95 %, by Byar's approximation"
_Z = 1.959964
"""Of a 95 % interval."""


@dataclass(frozen=True, slots=True)
class Rate:
    """`n` events, and how many that is in 1,000 with a 95 % interval; None if nothing was looked at."""

    n: int
    per_1000: float | None = None
    low: float | None = None
    high: float | None = None


def rate_per_1000(n: int, total: int) -> Rate:
    """Return the rate of `n` events in `total` places.

    A place may have several events, so their number is a Poisson variable, not a share. The interval is
    Byar's approximation of the exact one (Breslow and Day 1987, Statistical Methods in Cancer Research II,
    section 2.3).
    """
    if not total:
        return Rate(n)
    low, high = byar(n)
    return Rate(n, *(1000 * value / total for value in (n, low, high)))


def byar(n: int) -> tuple[float, float]:
    """Return the 95 % interval of the mean of a Poisson variable that was observed as `n`."""
    low = n * (1 - 1 / (9 * n) - _Z / (3 * math.sqrt(n))) ** 3 if n else 0.0
    above = n + 1
    return max(low, 0.0), above * (1 - 1 / (9 * above) + _Z / (3 * math.sqrt(above))) ** 3
