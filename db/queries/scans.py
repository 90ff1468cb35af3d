"""Scans and their findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, insert, or_, select
from sqlalchemy.orm import Session, defer

from db.models import Base, Finding, Scan
from db.queries.counts import n_rows_of

# Into the tables, not the classes: less processor time than a flush, and one statement for all
# findings, where the classes' insert takes another at each change between NULL and a value.
_INSERT_SCAN = insert(Base.metadata.tables[Scan.__tablename__])
_INSERT_FINDING = insert(Base.metadata.tables[Finding.__tablename__])


@dataclass(frozen=True, slots=True)
class ScanFilter:
    """Which scans to list; every field that is not None narrows.

    One finding must have both `category` and `risk_type`. `q` is part of a finding's sentence or of
    the file name, whatever the case. `created_from` is inclusive, `created_before` exclusive.
    """

    source: str | None = None
    category: str | None = None
    risk_type: str | None = None
    q: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


def add_scan(
    session: Session, scan: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]
) -> Scan:
    """Insert a scan and its findings, given as values by attribute; return it, outside the session.

    `findings` need no scan_id, and all have the same keys.

    Raises:
        IntegrityError: the user is gone, or has a scan with this idempotency key.
    """
    session.execute(_INSERT_SCAN, dict(scan))
    if findings:
        session.execute(_INSERT_FINDING, [{**f, "scan_id": scan["id"]} for f in findings])
    return Scan(**scan)


def scan_of_user(session: Session, scan_id: UUID, user_id: UUID) -> Scan | None:
    """Return a user's scan; another user's is as good as none."""
    return session.scalar(select(Scan).where(Scan.id == scan_id, Scan.user_id == user_id))


def scan_by_key(session: Session, user_id: UUID, key: str) -> Scan | None:
    """Return the scan that a user stored under an idempotency key."""
    return session.scalar(select(Scan).where(Scan.user_id == user_id, Scan.idempotency_key == key))


def list_scans(
    session: Session,
    user_id: UUID,
    chosen: ScanFilter | None = None,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
) -> Sequence[Scan]:
    """Return up to `limit` scans, newest first (created_at, then id), past the position `after`.

    Their `data` is not loaded, and asking for it raises: a page of long documents is megabytes.
    """
    query = _newest_first(user_id, chosen).limit(limit)
    if after is not None:
        created_at, scan_id = after
        # Not the OR that a keyset is told by in textbooks: this form bounds the index's range.
        query = query.where(
            Scan.created_at <= created_at, or_(Scan.created_at < created_at, Scan.id < scan_id)
        )
    return session.scalars(query).all()


def list_scans_page(
    session: Session,
    user_id: UUID,
    chosen: ScanFilter | None = None,
    *,
    limit: int,
    offset: int,
) -> Sequence[Scan]:
    """Return up to `limit` scans, newest first, past the first `offset`; `data` as in list_scans."""
    return session.scalars(_newest_first(user_id, chosen).limit(limit).offset(offset)).all()


def count_scans(session: Session, user_id: UUID, chosen: ScanFilter | None = None) -> int:
    """Return how many scans a filter leaves; the cost grows with the user's scans."""
    query = select(func.count()).select_from(Scan).where(*_conditions(user_id, chosen))
    return session.scalar(query) or 0


def delete_scan(session: Session, scan_id: UUID) -> bool:
    """Delete a scan, and with it its findings; tell whether there was one."""
    return n_rows_of(session, delete(Scan).where(Scan.id == scan_id)) == 1


def findings_of_scan(
    session: Session, scan_id: UUID, *, after_n: int = 0, limit: int
) -> Sequence[Finding]:
    """Return up to `limit` findings numbered above `after_n`, in document order."""
    query = select(Finding).where(Finding.scan_id == scan_id, Finding.n > after_n)
    return session.scalars(query.order_by(Finding.n).limit(limit)).all()


def _newest_first(user_id: UUID, chosen: ScanFilter | None) -> Select[Scan]:
    return (
        select(Scan)
        .options(defer(Scan.data, raiseload=True))
        .where(*_conditions(user_id, chosen))
        .order_by(Scan.created_at.desc(), Scan.id.desc())
    )


def _conditions(user_id: UUID, chosen: ScanFilter | None) -> list[ColumnElement[bool]]:
    chosen = chosen or ScanFilter()
    found = [Scan.user_id == user_id]
    if chosen.source is not None:
        found.append(Scan.source == chosen.source)
    if chosen.created_from is not None:
        found.append(Scan.created_at >= chosen.created_from)
    if chosen.created_before is not None:
        found.append(Scan.created_at < chosen.created_before)
    if labels := _labels(chosen):
        found.append(_has_finding(*labels))
    if chosen.q:
        in_context = _has_finding(Finding.context.icontains(chosen.q, autoescape=True))
        found.append(or_(Scan.filename.icontains(chosen.q, autoescape=True), in_context))
    return found


def _labels(chosen: ScanFilter) -> list[ColumnElement[bool]]:
    wanted = ((Finding.category, chosen.category), (Finding.risk_type, chosen.risk_type))
    return [column == value for column, value in wanted if value is not None]


def _has_finding(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(Finding.n).where(Finding.scan_id == Scan.id, *conditions).exists()
