"""Rate limits per caller, counted in a moving window. limit_storage.py says where."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Literal

from limits import parse_many
from limits.strategies import RateLimiter

from service.domain.limit_storage import LimitStorage
from service.errors import RateLimited


@dataclass(frozen=True, slots=True)
class Quota:
    """A caller's quota: `limit` calls in `window_s` seconds, of which `remaining` are left.

    In `more_after_s` seconds another call is allowed than now.
    """

    name: str
    limit: int
    window_s: int
    remaining: int
    more_after_s: int


class RateLimit:
    """Limits on each caller's calls: "20 per minute", or several as in "5 per minute; 20 per hour".

    An empty rate means no limit.
    """

    def __init__(self, rate: str, *, setting: str, storage: LimitStorage) -> None:
        """`storage` is that of all limits of the process; `setting` names the limit there and in messages."""
        self._rates = parse_many(rate) if rate else []
        self._setting = setting
        self._storage = storage

    def spend(self, caller: str) -> None:
        """Count one call by `caller`.

        Raises:
            RateLimited: the quota is used up; `retry_after_s` says when the next call is allowed.
        """
        if refusal := self._refusal(caller, "hit"):
            raise refusal

    def require(self, caller: str) -> None:
        """Raise RateLimited as `spend` does, but count nothing."""
        if refusal := self._refusal(caller, "test"):
            raise refusal

    def count(self, caller: str) -> None:
        """Count one call by `caller`, allowed or not."""
        self._refusal(caller, "hit")

    def quota(self, caller: str) -> Quota | None:
        """Return what the caller has left at the rate nearest to exhaustion; None without a limit."""
        if not self._rates:
            return None
        return self._storage.run(lambda limiter: self._nearest(limiter, caller))

    def _refusal(self, caller: str, question: Literal["hit", "test"]) -> RateLimited | None:
        """Count or test one call; return None if it is allowed."""
        if not self._rates:
            return None
        return self._storage.run(lambda limiter: self._ask(limiter, caller, question))

    def _ask(
        self, limiter: RateLimiter, caller: str, question: Literal["hit", "test"]
    ) -> RateLimited | None:
        ask = limiter.hit if question == "hit" else limiter.test
        refused = [rate for rate in self._rates if not ask(rate, self._setting, caller)]
        if not refused:
            return None
        ends_s = [limiter.get_window_stats(r, self._setting, caller).reset_time for r in refused]
        last_s, rate = max(zip(ends_s, refused, strict=True), key=lambda end: end[0])
        return RateLimited(
            f"The quota of {rate} ({self._setting}) is used up; wait and try again.",
            retry_after_s=_seconds_until(last_s),
        )

    def _nearest(self, limiter: RateLimiter, caller: str) -> Quota:
        left = [
            (rate, limiter.get_window_stats(rate, self._setting, caller)) for rate in self._rates
        ]
        rate, stats = min(left, key=lambda pair: pair[1].remaining / pair[0].amount)
        name = self._setting.removesuffix("_RATE_LIMIT").lower()
        until_s = _seconds_until(stats.reset_time)
        return Quota(name, rate.amount, rate.get_expiry(), stats.remaining, until_s)


def _seconds_until(at_s: float) -> int:
    return max(1, math.ceil(at_s - time.time()))
