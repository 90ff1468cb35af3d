"""How many connections this process may hold: CONNECTION_LIMIT against its file descriptors."""

from __future__ import annotations

import logging
import resource

from service.errors import ConfigError

# The socket, and a file of /docs that is being sent.
_PER_CONNECTION = 2
# Model, log and listeners; and for a thread its database connection and the pipes of the child that
# reads its document. 8 threads that read web pages took 46 in all (SQLite, November 2026).
_OTHERS = 64
_PER_THREAD = 8
_FEWEST_CONNECTIONS = 16
_log = logging.getLogger(__name__)


def connections_that_fit(wanted: int, *, threads: int) -> int:
    """Return how many connections the process can hold, `wanted` at most; the log says if fewer.

    The soft limit of descriptors is raised as far as needed and allowed.

    Raises:
        ConfigError: there are descriptors for hardly any connection.
    """
    others = _OTHERS + _PER_THREAD * threads
    needed = _PER_CONNECTION * wanted + others
    available = _raise_soft_limit(needed)
    fitting = min(wanted, (available - others) // _PER_CONNECTION)
    told = (
        f"This process may open {available:,} files and would need {needed:,} for "
        f"CONNECTION_LIMIT={wanted}; raise its limit (ulimit -n, LimitNOFILE=, ulimits)"
    )
    if fitting < _FEWEST_CONNECTIONS:
        raise ConfigError(f"{told} or lower CONNECTION_LIMIT and THREADS.")
    if fitting < wanted:
        _log.warning("%s. Until then it holds %d connections.", told, fitting)
    return fitting


def _raise_soft_limit(needed: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
