"""Responses about a user's own scans and documents, kept in Redis for all processes until something changes.

A mark in Redis changes with each committed write to a table that such a response shows. A response is stored
with the mark that was current before the database was read, and counts only as long as it is still current.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TypeVar, cast

import redis

from service.domain.redis_outage import RedisOutage

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


class ResultCache:
    """Keeps results in Redis. While Redis is unavailable, one call in `pause_s` waits for it. Thread-safe."""

    def __init__(self, url: str, *, pause_s: float = PAUSE_S) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        )
        self._outage = RedisOutage("REDIS_URL", "every result is read anew", pause_s=pause_s)
        self._has_missed_a_write = False

    def get(self, key: str) -> tuple[bytes | None, bytes | None]:
        """Return the current mark, and the result of a key if it is current; each may be None."""
        nothing: tuple[bytes | None, bytes | None] = (None, None)
        return self._try(lambda: self._get(key), nothing)

    def put(self, key: str, mark: bytes | None, result: bytes) -> None:
        """Keep a result of up to MAX_RESULT_BYTES whose `get` returned `mark`, unless that is None."""
        if mark is not None and len(result) <= MAX_RESULT_BYTES:
            self._try(lambda: self._redis.set(_ENTRY + key, mark + result, ex=LIFE_S), None)

    def forget_after(self, written: frozenset[str]) -> None:
        """Make every result out of date if one of SHOWN_TABLES was written.

        If Redis is unavailable, the next call that reaches it changes the mark.
        """
        if written & SHOWN_TABLES and not self._try(self._change_mark, otherwise=False):
            self._has_missed_a_write = True

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

    def _change_mark(self) -> bool:
        self._redis.set(_MARK, secrets.token_bytes(_MARK_BYTES))
        return True

    def _try(self, work: Callable[[], _T], otherwise: _T) -> _T:
        """Run `work`, after changing the mark for missed writes; `otherwise` while Redis is unavailable."""
        if not self._outage.may_try():
            return otherwise
        try:
            if self._has_missed_a_write:
                self._has_missed_a_write = False
                self._change_mark()
            result = work()
        except redis.RedisError as error:
            self._has_missed_a_write = True
            self._outage.begin(type(error).__name__)
            return otherwise
        self._outage.end()
        return result
