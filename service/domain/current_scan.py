"""The scan that this context works on: records of outgoing calls and the LLM's budget name it.

It holds what its calls sent until the scan is stored, so that one transaction stores both the scan and the
audit event. If the scan is not stored, the recorder of the calls stores the event alone.
"""

from __future__ import annotations

import contextlib
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import replace
from uuid import UUID

import uuid_utils.compat

from db.queries.audit import Event
from service.domain.audit import Action, Actor, event
from service.nlp.observer import Call


class CurrentScan:
    """A scan for an account; `user_id` is None without one, `scan_id` if the scan will not be stored."""

    def __init__(self, scan_id: UUID | None, user_id: UUID | None) -> None:
        self.scan_id = scan_id
        self.user_id = user_id
        self.is_stored = False
        """Set when the transaction with `sent_events` is committed."""
        self._lock = threading.Lock()
        self._calls: list[Call] = []
        self._events: list[Event] | None = None
        self._record: Callable[[Sequence[Event]], None] | None = None

    def hold(self, call: Call, record: Callable[[Sequence[Event]], None]) -> bool:
        """Hold a call that sent data for `sent_events`, or for `record` if the scan is not stored.

        Returns False once the events are made: an abandoned call ends later, and needs an event of its own.
        """
        with self._lock:
            if self._events is not None:
                return False
            self._calls.append(call)
            self._record = record
        return True

    def sent_events(self) -> list[Event]:
        """Return the events of the held calls, and hold no more calls; each time the same events."""
        with self._lock:
            if self._events is None:
                self._events = sent_events(self._calls, Actor(self.user_id), self.scan_id)
            return self._events

    def end(self) -> None:
        """Pass the events on to the recorder unless they are stored."""
        events = self.sent_events()
        if events and self._record is not None and not self.is_stored:
            self._record(events)


_CURRENT: ContextVar[CurrentScan | None] = ContextVar("scan", default=None)


@contextlib.contextmanager
def scanning(scan_id: UUID | None, user_id: UUID | None) -> Iterator[CurrentScan]:
    """Make the scan the current one within the block, which also stores it, if it is stored."""
    scan = CurrentScan(scan_id, user_id)
    token = _CURRENT.set(scan)
    try:
        yield scan
    finally:
        _CURRENT.reset(token)
        scan.end()


def current_scan() -> CurrentScan | None:
    """Return the current scan; None in a command."""
    return _CURRENT.get()


def sent_events(calls: Sequence[Call], actor: Actor, scan_id: UUID | None) -> list[Event]:
    """Return a `data.sent` event for each server and model to which calls of this request sent data.

    The database refuses to store an event twice.
    """
    groups: dict[tuple[object, ...], list[Call]] = defaultdict(list)
    for call in calls:
        groups[call.upstream, call.host, call.model, call.is_masked].append(call)
    return [_sent_event(group, actor, scan_id) for group in groups.values()]


def _sent_event(calls: Sequence[Call], actor: Actor, scan_id: UUID | None) -> Event:
    first = calls[0]
    detail = {
        "kind": first.upstream,
        "host": first.host,
        "model": first.model,
        "masked": first.is_masked,
        "n_calls": len(calls),
        "n_sentences": _sum(call.n_sentences for call in calls),
        "sent_bytes": sum(call.sent_bytes for call in calls),
        "prompt_tokens": _sum(call.prompt_tokens for call in calls),
        "completion_tokens": _sum(call.completion_tokens for call in calls),
    }
    sent = event(
        Action.DATA_SENT, actor=actor, object_type="scan", object_id=scan_id, detail=detail
    )
    return replace(sent, id=uuid_utils.compat.uuid7())


def _sum(counts: Iterable[int | None]) -> int | None:
    """Return the sum of the known counts; None if none is known."""
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
