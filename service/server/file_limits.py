"""Fits CONNECTION_LIMIT to the number of files that this process may open."""

from __future__ import annotations

import logging
import resource

from service.errors import ConfigError

# A socket, and a file while /docs is sent.
_FILES_PER_CONNECTION = 2
# The model, the log, the listeners.
_OTHER_FILES = 64
# A database connection, and the pipes of the child process that extracts a document. 8 threads that extracted
# web pages used 46 files together (SQLite, November 2026).
_FILES_PER_THREAD = 8
_MIN_CONNECTIONS = 16
_log = logging.getLogger(__name__)


def effective_connection_limit(wanted: int, *, threads: int) -> int:
    """Return `wanted`, or as many connections as the open-file limit allows; then log a warning.

    Raises the soft limit first, as far as needed and allowed.

    Raises:
        ConfigError: fewer than 16 connections are possible.
    """
    others = _OTHER_FILES + _FILES_PER_THREAD * threads
    needed = _FILES_PER_CONNECTION * wanted + others
    available = _raise_soft_limit(needed)
    limit = min(wanted, (available - others) // _FILES_PER_CONNECTION)
    message = (
        f"This process may open {available:,} files and would need {needed:,} for "
        f"CONNECTION_LIMIT={wanted}; raise its limit (ulimit -n, LimitNOFILE=, ulimits)"
    )
    if limit < _MIN_CONNECTIONS:
        raise ConfigError(f"{message} or lower CONNECTION_LIMIT and THREADS.")
    if limit < wanted:
        _log.warning("%s. Until then it holds %d connections.", message, limit)
    return limit


def _raise_soft_limit(needed: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return needed
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
