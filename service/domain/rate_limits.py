"""Quotas of callers, counted in this process by a moving window."""

from __future__ import annotations

import math
import time

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from service.errors import RateLimited


class RateLimit:
    """So many uses per time and caller, as in "20 per minute"; an empty rate is no limit."""

    def __init__(self, rate: str, *, setting: str) -> None:
        self._item = parse(rate) if rate else None
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._setting = setting

    def spend(self, caller: str) -> None:
        """Count one use by `caller`.

        Raises:
            RateLimited: the quota is used up; `retry_after_s` says when the next use is free.
        """
        if self._item is None or self._limiter.hit(self._item, caller):
            return
        reset_at_s = self._limiter.get_window_stats(self._item, caller).reset_time
        raise RateLimited(
            f"The quota of {self._item} ({self._setting}) is used up; wait and try again.",
            retry_after_s=max(1, math.ceil(reset_at_s - time.time())),
        )
