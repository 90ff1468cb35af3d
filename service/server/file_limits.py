"""Checks CONNECTION_LIMIT against the file descriptors that this process may open."""

from __future__ import annotations

import logging
import resource

from service.errors import ConfigError

# A socket, and a file of /docs while it is sent.
_PER_CONNECTION = 2
# Model, log and listeners; for each thread a database connection and the pipes of the child process that
# extracts its document. 8 threads extracting web pages used 46 in all (SQLite, November 2026).
_OTHERS = 64
_PER_THREAD = 8
_FEWEST_CONNECTIONS = 16
_log = logging.getLogger(__name__)


def connections_that_fit(wanted: int, *, threads: int) -> int:
    """Return how many connections the process can hold, at most `wanted`; log a warning if fewer.

    Raises the soft limit of descriptors as far as needed and allowed.

    Raises:
        ConfigError: fewer than 16 connections fit.
    """
    others = _OTHERS + _PER_THREAD * threads
    needed = _PER_CONNECTION * wanted + others
    available = _raise_soft_limit(needed)
    fitting = min(wanted, (available - others) // _PER_CONNECTION)
    message = (
        f"This process may open {available:,} files and would need {needed:,} for "
        f"CONNECTION_LIMIT={wanted}; raise its limit (ulimit -n, LimitNOFILE=, ulimits)"
    )
    if fitting < _FEWEST_CONNECTIONS:
        raise ConfigError(f"{message} or lower CONNECTION_LIMIT and THREADS.")
    if fitting < wanted:
        _log.warning("%s. Until then it holds %d connections.", message, fitting)
    return fitting


def _raise_soft_limit(needed: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
