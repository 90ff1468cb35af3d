"""Records outgoing calls: queues a row for each call, and stores the rows on a thread of its own."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import uuid_utils.compat

from db.queries.api_interactions import add_interactions, delete_old_interactions
from db.tables import InteractionKind
from service.domain.current_scan import current_scan_id
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
        now = datetime.now(UTC)
        row = {
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
            "scan_id": current_scan_id(),
            "request_id": current_request_id(),
        }
        with self._changed:
            self._waiting.append(row)
            if len(self._waiting) > MAX_WAITING:
                self._waiting.popleft()
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
            self._transactions().run(add_interactions, rows)
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
                self._waiting.popleft()
        if n_dropped:
            _log.warning(
                "dropped the records of %d outgoing calls: too many were waiting", n_dropped
            )


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
