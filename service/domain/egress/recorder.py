"""Records outgoing calls: queues a row for each call, and stores the rows on a thread of its own.

A call that sent data also needs an audit event. That of a stored scan is stored with the scan (see
current_scan); the thread stores the others.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate
from db.queries.api_interactions import add_interactions, delete_old_interactions
from db.queries.audit import Event, add_new_events
from db.tables import InteractionKind
from service.domain.audit import Actor
from service.domain.current_scan import CurrentScan, current_scan, sent_events
from service.domain.transactions import Transactions
from service.errors import RiskscanError
from service.nlp.observer import Call, Observer
from service.observability.request_id import current_request_id
from service.observability.trace_context import current_trace

MAX_WAITING = 10_000
"""Records that wait while the database is unavailable, 1 kB each; the oldest are dropped first."""
RECORDS_AT_ONCE = 200
RETRY_S = 2.0
MAX_HOST_CHARS = 255
_log = logging.getLogger(__name__)

_Record = dict[str, Any] | Event
"""The row of a call, by attribute, or an audit event."""


class EgressRecorder(Observer):
    """Stores one row for each call to another server. `called` and `record_events` return at once."""

    def __init__(self, transactions: Callable[[], Transactions]) -> None:
        """`transactions` is called with the first records: a command that calls nobody opens no database."""
        self._transactions = transactions
        self._n_dropped = 0
        self._waiting: dict[UUID, _Record] = {}
        """By id, oldest first."""
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="egress", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def call_headers(self) -> Mapping[str, str]:
        """Return the headers that name the trace of the current request, with a new span id."""
        trace = current_trace()
        return trace.headers() if trace else {}

    def called(self, call: Call) -> None:
        """Queue the row of a call that has just ended, and its event unless the current scan holds it."""
        scan = current_scan()
        row = _row(call, scan)
        self._queue({row["id"]: row})
        if (
            call.upstream == InteractionKind.SSO
        ):  # gets no documents, and log-ins have events of their own
            return
        if not call.sent_bytes or (scan is not None and scan.hold(call, self.record_events)):
            return
        actor = Actor(scan.user_id) if scan else Actor.current_operator()
        self.record_events(sent_events([call], actor, scan.scan_id if scan else None))

    def record_events(self, events: Sequence[Event]) -> None:
        """Queue audit events; one that is stored already is not stored again."""
        self._queue({event.id: event for event in events if event.id is not None})

    def _queue(self, records: Mapping[UUID, _Record]) -> None:
        with self._changed:
            self._waiting.update(records)
            while len(self._waiting) > MAX_WAITING:
                del self._waiting[next(iter(self._waiting))]
                self._n_dropped += 1
            self._changed.notify()

    def close(self) -> None:
        """Store the records that wait, unless the database is unavailable, then end the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        is_stored = True
        while True:
            with self._changed:
                if is_stored:
                    self._changed.wait_for(lambda: self._waiting or self._is_closing)
                else:
                    self._changed.wait_for(lambda: self._is_closing, timeout=RETRY_S)
                records = dict(itertools.islice(self._waiting.items(), RECORDS_AT_ONCE))
                is_closing = self._is_closing
            is_stored = self._store(records) if records else True
            if is_closing and (not is_stored or len(records) < RECORDS_AT_ONCE):
                return

    def _store(self, records: Mapping[UUID, _Record]) -> bool:
        """Store records and remove them from the queue; return False if they have to be stored later."""
        try:
            self._transactions().run(_add, [*records.values()])
        except RiskscanError as error:
            _log.warning(
                "could not store the records of outgoing calls, will retry: %s", error.message
            )
            return False
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must survive any error
            if isinstance(error, IntegrityError) and is_duplicate(error):
                return (
                    False  # a commit in doubt has arrived after all; the next run finds its event
                )
            _log.error("lost the records of %d outgoing calls", len(records), exc_info=error)
        self._forget(records)
        return True

    def _forget(self, records: Mapping[UUID, _Record]) -> None:
        with self._changed:
            n_dropped, self._n_dropped = self._n_dropped, 0
            for record_id in records:
                self._waiting.pop(record_id, None)
        if n_dropped:
            _log.warning("dropped %d records of outgoing calls: too many were waiting", n_dropped)


def _row(call: Call, scan: CurrentScan | None) -> dict[str, Any]:
    return {
        "id": uuid_utils.compat.uuid7(),
        "created_at": datetime.now(UTC) - timedelta(seconds=call.duration_s),
        "kind": InteractionKind(call.upstream),
        "host": call.host[:MAX_HOST_CHARS],
        "status": call.status,
        "error_code": call.error_code,
        "duration_ms": round(call.duration_s * 1000, 1),
        "sent_bytes": call.sent_bytes,
        "received_bytes": call.received_bytes,
        "prompt_tokens": call.prompt_tokens,
        "completion_tokens": call.completion_tokens,
        "scan_id": scan and scan.scan_id,
        "request_id": current_request_id(),
    }


def _add(session: Session, records: Sequence[_Record]) -> None:
    """Insert the rows and the events that are not stored yet."""
    add_interactions(session, [record for record in records if not isinstance(record, Event)])
    add_new_events(session, [record for record in records if isinstance(record, Event)])


def delete_old(transactions: Transactions, *, days: int) -> int:
    """Delete the records of calls that are older than `days`; return their number.

    Raises:
        DatabaseUnavailable: see Transactions.run. The next run deletes the remaining rows.
    """
    before, n_deleted, n = datetime.now(UTC) - timedelta(days=days), 0, RECORDS_AT_ONCE
    while n == RECORDS_AT_ONCE:
        n = transactions.run(delete_old_interactions, before=before, limit=RECORDS_AT_ONCE)
        n_deleted += n
    return n_deleted
