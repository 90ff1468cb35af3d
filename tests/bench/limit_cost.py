"""Cost of one rate limit for a request: counting it and reading what is left, in memory and in Redis."""

import itertools
import time
import uuid

from service.domain.limit_storage import IN_PROCESS, LimitStorage
from service.domain.rate_limits import RateLimit
from tests.bench.plots import lines
from tests.bench.results import Result, spread
from tests.support.redis_server import RedisServer

_USED = (0, 600, 10_000)
"""Calls of the same caller that the window holds already."""
_CALLS = 2_000


def run(options):
    """Spend a limit as each request does, with windows that hold more and more calls."""
    server = RedisServer()
    try:
        urls = {"memory": IN_PROCESS, "Redis": server.url}
        cost_us = {
            place: {used: _measured(options, LimitStorage(url), used) for used in _USED}
            for place, url in urls.items()
        }
    finally:
        server.kill()
    return _result(cost_us)


def _measured(options, storage, used):
    """Return the microseconds of one request in each round, the median of its calls."""
    limit = RateLimit("1000000 per day", setting=uuid.uuid4().hex, storage=storage)
    for _ in range(used):
        limit.count("ann")
    n_calls = options.size(_CALLS)
    callers = itertools.repeat("ann", n_calls) if used else map(str, range(n_calls))
    took_us = sorted(_call_us(limit, caller) for caller in callers)
    return [took_us[len(took_us) // 10], took_us[len(took_us) // 2], took_us[-len(took_us) // 10]]


def _call_us(limit, caller):
    began_s = time.perf_counter()
    limit.spend(caller)
    limit.quota(caller)
    return (time.perf_counter() - began_s) * 1e6


def _result(cost_us):
    medians = {place: [values[1] for values in by.values()] for place, by in cost_us.items()}
    rows = [
        (place, f"{used:,}", spread(values))
        for place, by_used in cost_us.items()
        for used, values in by_used.items()
    ]
    return Result(
        name="limit-cost",
        title="Cost of a rate limit",
        head=("counted in", "calls in the window", "µs: median (tenth to nine tenths)"),
        rows=rows,
        figures={"us": cost_us},
        panels=[
            lines(
                {place: (list(_USED), values) for place, values in medians.items()},
                xlabel="calls in the window",
                ylabel="µs for a request",
                is_log=False,
            )
        ],
        targets=[],
    )
