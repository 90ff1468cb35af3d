"""The log of exports: a row for each, which says whether it was sent whole."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.orm import Session

from db.queries import report_logs as queries
from service.domain.audit import Actor
from service.domain.transactions import Transactions
from service.errors import RiskscanError
from service.observability.request_id import current_request_id

Chunk = tuple[int, bytes]
"""A number of rows, and bytes of the export."""
ABANDONED_AFTER = timedelta(days=1)
"""An export that runs for longer ended with its process."""
_log = logging.getLogger(__name__)


class Kind(StrEnum):
    """What is exported; the column has no CHECK, so a new kind needs no migration."""

    AUDIT_TRAIL = "audit_trail"
    USER_DATA = "user_data"
    FEEDBACK = "feedback"
    COHORT = "cohort"
    SCANS = "scans"
    RISKS = "risks"


class Outcome(StrEnum):
    """How an export ended."""

    RUNNING = "running"
    FINISHED = "finished"
    CUT_OFF = "cut_off"


@dataclass(frozen=True, slots=True)
class Report:
    """An export: what, in which format, restricted to what, and who exports it."""

    kind: Kind
    format: str
    actor: Actor
    scope: Mapping[str, Any] = field(default_factory=dict)


def begin(session: Session, report: Report) -> UUID:
    """Record in the caller's transaction that an export begins; return its id."""
    report_id = uuid_utils.compat.uuid7()
    values = {
        "id": report_id,
        "created_at": datetime.now(UTC),
        "user_id": report.actor.user_id,
        "operator": report.actor.operator,
        "kind": report.kind,
        "format": report.format,
        "scope": dict(report.scope),
        "n_rows": 0,
        "size_bytes": 0,
        "request_id": current_request_id(),
        "outcome": Outcome.RUNNING,
    }
    queries.add_report(session, values)
    return report_id


class ReportLogs:
    """Records how exports end."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._unstored: dict[UUID, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def follow(self, report_id: UUID, chunks: Iterator[Chunk]) -> Export:
        """Return the bytes of an export; their end, or an error or `close` before it, is recorded."""
        return Export(self, report_id, chunks)

    def end(self, report_id: UUID, outcome: Outcome, *, n_rows: int, size_bytes: int) -> None:
        """Record the end of an export, later if the database is unavailable."""
        values = {
            "outcome": outcome,
            "n_rows": n_rows,
            "size_bytes": size_bytes,
            "ended_at": datetime.now(UTC),
        }
        try:
            self._transactions.run(queries.end_report, report_id, values)
        except RiskscanError as error:
            _log.warning("the end of export %s will be stored later: %s", report_id, error.message)
            with self._lock:
                self._unstored[report_id] = values

    def settle(self) -> int:
        """Store the ends that wait, and record exports whose process died as cut off; return how many."""
        with self._lock:
            waiting = dict(self._unstored)
        for report_id, values in waiting.items():
            self._transactions.run(queries.end_report, report_id, values)
            with self._lock:
                del self._unstored[report_id]
        now = datetime.now(UTC)
        return len(waiting) + self._transactions.run(
            queries.end_older,
            outcome=Outcome.RUNNING,
            before=now - ABANDONED_AFTER,
            values={"outcome": Outcome.CUT_OFF, "ended_at": now},
        )


class Export(Iterator[bytes]):
    """The bytes of an export, one chunk at a time. The server closes it, also if the client is gone."""

    def __init__(self, logs: ReportLogs, report_id: UUID, chunks: Iterator[Chunk]) -> None:
        self._logs = logs
        self._report_id = report_id
        self._chunks = chunks
        self._n_rows = self._size_bytes = 0
        self._has_ended = False

    def __next__(self) -> bytes:
        try:
            n_rows, block = next(self._chunks)
        except StopIteration:
            self._end(Outcome.FINISHED)
            raise
        except BaseException:
            self._end(Outcome.CUT_OFF)
            raise
        self._n_rows += n_rows
        self._size_bytes += len(block)
        return block

    def close(self) -> None:
        """Record that the export was cut off, unless it has ended."""
        self._end(Outcome.CUT_OFF)

    def _end(self, outcome: Outcome) -> None:
        if not self._has_ended:
            self._has_ended = True
            self._logs.end(
                self._report_id, outcome, n_rows=self._n_rows, size_bytes=self._size_bytes
            )
