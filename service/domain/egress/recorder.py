"""Records outgoing calls: queues a row for each call, and stores the rows on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.orm import Session

from db.queries.api_interactions import add_interactions, delete_old_interactions
from db.queries.audit import Event
from db.tables import InteractionKind
from service.domain.audit import Action, Actor, event, record
from service.domain.current_scan import current_scan
from service.domain.transactions import Transactions
from service.errors import RiskscanError
from service.nlp.observer import Call, Observer
from service.observability.request_id import current_request_id
from service.observability.trace_context import current_trace

MAX_WAITING = 10_000
"""Rows that wait while the database is unavailable, 1 kB each; the oldest are dropped first."""
ROWS_AT_ONCE = 200
RETRY_S = 2.0
MAX_HOST_CHARS = 255
_log = logging.getLogger(__name__)


class EgressRecorder(Observer):
    """Stores one row for each call to another server. `called` and `record` return at once."""

    def __init__(self, transactions: Callable[[], Transactions]) -> None:
        """`transactions` is called with the first rows: a command that calls nobody opens no database."""
        self._transactions = transactions
        self._n_dropped = 0
        self._waiting: deque[dict[str, Any]] = deque()
        self._actors: dict[UUID, Actor] = {}
        """Who caused the call of each waiting row."""
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
        """Queue the row of a call of an analyzer."""
        self.record(InteractionKind(call.upstream), call)

    def record(self, kind: InteractionKind, call: Call) -> None:
        """Queue the row of a call that has just ended, for the scan and the request of this context."""
        now, scan = datetime.now(UTC), current_scan()
        row: dict[str, Any] = {
            "id": uuid_utils.compat.uuid7(),
            "created_at": now - timedelta(seconds=call.duration_s),
            "kind": kind,
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
        with self._changed:
            self._waiting.append(row)
            self._actors[row["id"]] = Actor(scan.user_id) if scan else Actor.current_operator()
            if len(self._waiting) > MAX_WAITING:
                del self._actors[self._waiting.popleft()["id"]]
                self._n_dropped += 1
            self._changed.notify()

    def close(self) -> None:
        """Store the rows that wait, unless the database is unavailable, then end the thread."""
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
                rows = [*self._waiting][:ROWS_AT_ONCE]
                is_closing = self._is_closing
            is_stored = self._store(rows) if rows else True
            if is_closing and (not is_stored or len(rows) < ROWS_AT_ONCE):
                return

    def _store(self, rows: list[dict[str, Any]]) -> bool:
        """Store rows and remove them from the queue; return False if the database is unavailable."""
        try:
            self._transactions().run(_add, rows, self._actors)
        except RiskscanError as error:
            _log.warning(
                "could not store the records of outgoing calls, will retry: %s", error.message
            )
            return False
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must survive any error
            _log.error("lost the records of %d outgoing calls", len(rows), exc_info=error)
        self._forget(rows)
        return True

    def _forget(self, rows: list[dict[str, Any]]) -> None:
        done = {row["id"] for row in rows}
        with self._changed:
            n_dropped, self._n_dropped = self._n_dropped, 0
            while self._waiting and self._waiting[0]["id"] in done:
                del self._actors[self._waiting.popleft()["id"]]
        if n_dropped:
            _log.warning(
                "dropped the records of %d outgoing calls: too many were waiting", n_dropped
            )


def _add(session: Session, rows: Sequence[Mapping[str, Any]], actors: Mapping[UUID, Actor]) -> None:
    """Insert the rows, and an audit event for the calls of each scan or request among them."""
    new = add_interactions(session, rows)
    calls: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in new:
        calls[
            row["kind"], row["host"], row["scan_id"], row["request_id"], actors[row["id"]]
        ].append(row)
    events = [_sent(actor, scan_id, sent) for (_, _, scan_id, _, actor), sent in calls.items()]
    if events:
        record(session, *events)


def _sent(actor: Actor, scan_id: UUID | None, calls: Sequence[Mapping[str, Any]]) -> Event:
    detail = {
        "kind": calls[0]["kind"],
        "host": calls[0]["host"],
        "n_calls": len(calls),
        "sent_bytes": sum(call["sent_bytes"] for call in calls),
    }
    sent = event(
        Action.DATA_SENT, actor=actor, object_type="scan", object_id=scan_id, detail=detail
    )
    return replace(sent, request_id=calls[0]["request_id"])


def delete_old(transactions: Transactions, *, days: int) -> int:
    """Delete the records of calls that are older than `days`; return their number.

    Raises:
        DatabaseUnavailable: see Transactions.run. The next run deletes the remaining rows.
    """
    before, n_deleted, n = datetime.now(UTC) - timedelta(days=days), 0, ROWS_AT_ONCE
    while n == ROWS_AT_ONCE:
        n = transactions.run(delete_old_interactions, before=before, limit=ROWS_AT_ONCE)
        n_deleted += n
    return n_deleted
