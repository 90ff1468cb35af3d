"""Responses about a user's own scans and documents, kept in Redis for all processes until something changes.

A mark in Redis changes with each committed write to a table that such a response shows. A response is stored
with the mark that was current before the database was read, and counts only as long as it is still current.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import TypeVar, cast

import redis

SHOWN_TABLES = frozenset(
    {
        "deployments",
        "document_text",
        "documents",
        "feedback",
        "findings",
        "sampled_sentences",
        "scans",
        "users",  # with a user go their documents and scans
    }
)
LIFE_S = 30
"""How long a response is kept, and so how long it may be out of date after a write that Redis missed."""
TIMEOUT_S = 0.25
PAUSE_S = 10.0
MAX_RESULT_BYTES = 1_000_000
_MARK = "riskscan:results:mark"
_ENTRY = "riskscan:results:entry:"
_MARK_BYTES = 12
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class ResultCache:
    """Keeps nothing, for services without REDIS_URL; RedisCache keeps results."""

    def get(self, _key: str) -> tuple[bytes | None, bytes | None]:
        """Return the current mark, and the result of a key if it is current; each may be None."""
        return None, None

    def put(self, key: str, mark: bytes | None, result: bytes) -> None:
        """Keep a result whose `get` returned `mark`; without a mark, do nothing."""

    def forget_after(self, written: frozenset[str]) -> None:
        """Make every result out of date if one of the tables that results show was written."""

    def close(self) -> None:
        """Close the connections."""


class RedisCache(ResultCache):
    """Keeps results in Redis. While Redis is unavailable, one call in `pause_s` waits for it. Thread-safe."""

    def __init__(self, url: str, *, pause_s: float = PAUSE_S) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        )
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._away_until_s: float | None = None
        self._has_missed_a_write = False

    def get(self, key: str) -> tuple[bytes | None, bytes | None]:
        """See ResultCache; (None, None) while Redis is unavailable."""
        nothing: tuple[bytes | None, bytes | None] = (None, None)
        return self._try(lambda: self._get(key), nothing)

    def put(self, key: str, mark: bytes | None, result: bytes) -> None:
        """See ResultCache; results above MAX_RESULT_BYTES are not kept."""
        if mark is not None and len(result) <= MAX_RESULT_BYTES:
            self._try(lambda: self._redis.set(_ENTRY + key, mark + result, ex=LIFE_S), None)

    def forget_after(self, written: frozenset[str]) -> None:
        """See ResultCache; if Redis is unavailable, the next call that reaches it changes the mark."""
        if written & SHOWN_TABLES:
            self._has_missed_a_write = True  # until Redis has the new mark
            self._try(lambda: None, None)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _get(self, key: str) -> tuple[bytes | None, bytes | None]:
        mark, entry = cast("list[bytes | None]", self._redis.mget(_MARK, _ENTRY + key))
        if mark is None:
            self._redis.set(_MARK, secrets.token_bytes(_MARK_BYTES), nx=True)
            mark = cast("bytes | None", self._redis.get(_MARK))
        if entry is None or entry[:_MARK_BYTES] != mark:
            return mark, None
        return mark, entry[_MARK_BYTES:]

    def _try(self, work: Callable[[], _T], otherwise: _T) -> _T:
        """Run `work`, after changing the mark for missed writes; `otherwise` while Redis is unavailable."""
        if not self._may_try():
            return otherwise
        try:
            if self._has_missed_a_write:
                self._has_missed_a_write = False
                self._redis.set(_MARK, secrets.token_bytes(_MARK_BYTES))
            result = work()
        except redis.RedisError as error:
            self._has_missed_a_write = True
            self._begin_outage(type(error).__name__)
            return otherwise
        self._end_outage()
        return result

    def _may_try(self) -> bool:
        with self._lock:
            if self._away_until_s is None:
                return True
            now_s = time.monotonic()
            if now_s < self._away_until_s:
                return False
            self._away_until_s = now_s + self._pause_s
            return True

    def _begin_outage(self, fault: str) -> None:
        with self._lock:
            is_new = self._away_until_s is None
            self._away_until_s = time.monotonic() + self._pause_s
        if is_new:
            _log.warning("REDIS_URL is unavailable (%s); every result is read anew", fault)

    def _end_outage(self) -> None:
        if self._away_until_s is None:
            return
        with self._lock:
            was_out, self._away_until_s = self._away_until_s is not None, None
        if was_out:
            _log.warning("REDIS_URL is available again")


def open_cache(url: str) -> ResultCache:
    """Return the cache in the Redis of `url`, or one that keeps nothing if that is empty."""
    return RedisCache(url) if url else ResultCache()
