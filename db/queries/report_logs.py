"""Exports of stored data: begun, ended, listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from db.queries.filters import conditions
from db.queries.pages import Position, newest_first
from db.tables import ReportLog

_EQUAL = ("kind", "user_id", "outcome", "request_id")


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Filters for the list of exports; a field that is None does not filter.

    `created_from` is inclusive, `created_before` exclusive.
    """

    kind: str | None = None
    user_id: UUID | None = None
    outcome: str | None = None
    request_id: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


def add_report(session: Session, values: Mapping[str, Any]) -> None:
    """Insert an export from its values by attribute."""
    session.execute(insert(ReportLog), [dict(values)])


def end_report(session: Session, report_id: UUID, values: Mapping[str, Any]) -> None:
    """Store how an export ended."""
    session.execute(update(ReportLog).where(ReportLog.id == report_id).values(**values))


def end_older(
    session: Session, *, outcome: str, before: datetime, values: Mapping[str, Any]
) -> int:
    """Change all exports that have an outcome and began before a time; return how many."""
    old = (ReportLog.outcome == outcome, ReportLog.created_at < before)
    return session.connection().execute(update(ReportLog).where(*old).values(**values)).rowcount


def list_reports(
    session: Session, filters: ReportFilter, *, limit: int, after: Position | None = None
) -> Sequence[ReportLog]:
    """Return up to `limit` exports, newest first (created_at, then id), past the position `after`."""
    query = select(ReportLog).where(*conditions(ReportLog, filters, *_EQUAL))
    return session.scalars(newest_first(query, ReportLog, after=after).limit(limit)).all()
