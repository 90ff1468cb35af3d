"""Scans and their findings."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, delete, func, insert, or_, select
from sqlalchemy.orm import Session, aliased

from db.queries.pages import Position, newest_first
from db.queries.reach import Reach, is_by_index, scan_in_reach, scans_of
from db.tables import Base, Finding, Scan

_other = aliased(Finding)
Label = Literal["category", "risk_type"]
NEWEST_FIRST = "ix_scans_user_id_created_at_id"
"""The index that has a user's scans in the order of the list."""
NEWEST_FIRST_OF_ALL = "ix_scans_created_at_id"
"""The same for everyone's scans."""
# Inserts go into the tables, not the classes. They need less processor time than a flush, and one statement
# for all findings; a class's insert starts another statement at each change between NULL and a value.
_INSERT_SCAN = insert(Base.metadata.tables[Scan.__tablename__])
_INSERT_FINDING = insert(Base.metadata.tables[Finding.__tablename__])
_INSERTED_AT_ONCE = 10_000  # findings, 1 kB each meanwhile


@dataclass(frozen=True, slots=True)
class ScanFilter:
    """Filters for the list of scans; a field that is None does not filter.

    A single finding must match category, risk type and foreign titles. `q` is part of a finding's
    sentence or of the file name, ignoring case. `created_from` is inclusive, `created_before` exclusive.
    """

    source: str | None = None
    category: str | None = None
    risk_type: str | None = None
    foreign_category: str | None = None
    foreign_risk: str | None = None
    q: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Total:
    """How many scans match a filter: `n`, or at least `n` if `is_exact` is false."""

    n: int
    is_exact: bool


def add_scan(
    session: Session, values: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]
) -> None:
    """Insert a scan and its findings from their values by attribute.

    Findings need no scan_id; all have the same keys.

    Raises:
        IntegrityError: the user is gone, or has a scan with the same idempotency key.
    """
    connection = session.connection()
    connection.execute(_INSERT_SCAN, dict(values))
    rows = ({**finding, "scan_id": values["id"]} for finding in findings)
    while batch := list(islice(rows, _INSERTED_AT_ONCE)):
        connection.execute(_INSERT_FINDING, batch)


def get_scan(session: Session, scan_id: UUID, reach: Reach) -> Scan | None:
    """Return a scan; None if it is not in reach."""
    return session.scalar(select(Scan).where(Scan.id == scan_id, *scan_in_reach(reach)))


def scan_by_key(session: Session, user_id: UUID, key: str) -> Scan | None:
    """Return the scan that a user stored under an idempotency key."""
    return session.scalar(select(Scan).where(Scan.user_id == user_id, Scan.idempotency_key == key))


def has_key(session: Session, user_id: UUID, key: str) -> bool:
    """Return whether a user stored a scan under an idempotency key."""
    query = select(Scan.id).where(Scan.user_id == user_id, Scan.idempotency_key == key)
    return session.scalar(query) is not None


def any_by_key(session: Session, user_id: UUID, keys: Collection[str]) -> UUID | None:
    """Return the id of a scan that a user stored under one of some idempotency keys."""
    query = select(Scan.id).where(Scan.user_id == user_id, Scan.idempotency_key.in_(keys))
    return session.scalar(query.limit(1))


def newest_of_model(
    session: Session, model: tuple[str, str], *, sensitivity: str, limit: int
) -> Sequence[Scan]:
    """Return up to `limit` scans of everyone by a model (name and version), newest first."""
    name, version = model
    query = select(Scan).where(
        Scan.model_name == name, Scan.model_version == version, Scan.sensitivity == sensitivity
    )
    return session.scalars(newest_first(query, Scan).limit(limit)).all()


def list_scans(
    session: Session,
    reach: Reach,
    filters: ScanFilter | None = None,
    *,
    limit: int,
    after: Position | None = None,
) -> Sequence[Scan]:
    """Return up to `limit` scans in reach, after the position `after`.

    Newest first: by created_at, then by id.
    """
    return _scans(session, _newest_ids(reach, filters, after=after).limit(limit))


def list_scans_page(
    session: Session,
    reach: Reach,
    filters: ScanFilter | None = None,
    *,
    limit: int,
    offset: int,
) -> Sequence[Scan]:
    """Return up to `limit` scans, newest first, past the first `offset`."""
    return _scans(session, _newest_ids(reach, filters).limit(limit).offset(offset))


def count_scans(
    session: Session, reach: Reach, filters: ScanFilter | None = None, *, at_most: int
) -> Total:
    """Count the scans that match a filter among the newest `at_most` in its created range.

    Reads at most that many rows, whatever the account's size and the filter. The total is exact if
    the range has no more.
    """
    filters = filters or ScanFilter()
    created = ScanFilter(created_from=filters.created_from, created_before=filters.created_before)
    newest = _newest_ids(reach, created).limit(at_most + 1).subquery("newest")
    n_newest = session.scalar(select(func.count()).select_from(newest)) or 0
    n, narrowing = n_newest, _narrowing(filters)
    if narrowing:
        query = select(func.count()).select_from(Scan).join(newest, Scan.id == newest.c.id)
        n = session.scalar(query.where(*narrowing)) or 0
    return Total(min(n, at_most), is_exact=n_newest <= at_most)


def list_old_scans(
    session: Session, user_id: UUID, *, before: datetime, limit: int
) -> Sequence[UUID]:
    """Return the ids of up to `limit` scans that a user created before a time."""
    query = select(Scan.id).where(Scan.user_id == user_id, Scan.created_at < before)
    return session.scalars(query.limit(limit)).all()


def delete_scan(session: Session, scan_id: UUID, user_id: UUID) -> bool:
    """Delete a user's scan, and with it its findings; return whether there was one."""
    owned = (Scan.id == scan_id, Scan.user_id == user_id)
    return session.connection().execute(delete(Scan).where(*owned)).rowcount == 1


def list_findings(
    session: Session, scan_id: UUID, *, after_n: int = 0, limit: int | None = None
) -> Sequence[Finding]:
    """Return up to `limit` findings numbered above `after_n`, or all of them, in document order."""
    query = select(Finding).where(Finding.scan_id == scan_id, Finding.n > after_n)
    return session.scalars(query.order_by(Finding.n).limit(limit)).all()


def findings_by_fingerprint(
    session: Session, scan_id: UUID, fingerprints: Sequence[str]
) -> dict[str, Finding]:
    """Return the findings of a scan that have some fingerprints, by fingerprint."""
    query = select(Finding).where(Finding.scan_id == scan_id)
    rows = session.scalars(query.where(Finding.fingerprint.in_(fingerprints)))
    return {finding.fingerprint: finding for finding in rows}


def count_same_findings(session: Session, scan_id: UUID, since_id: UUID) -> int:
    """Return how many findings of a scan another scan has too."""
    query = select(func.count()).select_from(Finding)
    is_same = Finding.scan_id == scan_id, _is_in(since_id)
    return session.scalar(query.where(*is_same)) or 0


def list_findings_without_same(
    session: Session, scan_id: UUID, other_id: UUID, *, after_n: int, limit: int
) -> Sequence[Finding]:
    """Return up to `limit` findings of a scan numbered above `after_n` that another scan lacks, by number."""
    query = select(Finding).where(Finding.scan_id == scan_id, Finding.n > after_n)
    return session.scalars(query.where(~_is_in(other_id)).order_by(Finding.n).limit(limit)).all()


def is_label_stored(session: Session, label: Label, key: str) -> bool:
    """Return whether any finding has this category or risk type."""
    column = Finding.category if label == "category" else Finding.risk_type
    return session.scalar(select(Finding.n).where(column == key).limit(1)) is not None


def _newest_ids(
    reach: Reach, filters: ScanFilter | None, *, after: Position | None = None
) -> Select[UUID]:
    """Return the query for the ids of the scans that match; the caller limits it."""
    filters = filters or ScanFilter()
    index = NEWEST_FIRST_OF_ALL if reach.is_everyones else NEWEST_FIRST
    query = select(Scan.id).where(*_in_range(reach, filters), *_narrowing(filters))
    for dialect in ("mysql", "mariadb") if is_by_index(reach) else ():
        # MariaDB ignores LIMIT when it chooses a plan: unforced, it reads from the newest scan up to a cursor
        # or a date, or all findings of a label in the whole table to sort their scans.
        query = query.with_hint(Scan, f"FORCE INDEX ({index})", dialect)
    return newest_first(query, Scan, after=after)


def _scans(session: Session, ids: Select[UUID]) -> Sequence[Scan]:
    # The index alone finds the ids, so the database never reads rows that are skipped or filtered out.
    page = ids.subquery("page")
    scans = session.scalars(select(Scan).join(page, Scan.id == page.c.id))
    # A join guarantees no order, and with an outer ORDER BY the database would sort the page again.
    return sorted(scans, key=lambda scan: (scan.created_at, scan.id), reverse=True)


def _in_range(reach: Reach, filters: ScanFilter) -> list[ColumnElement[bool]]:
    conditions = scans_of(reach)
    if filters.created_from is not None:
        conditions.append(Scan.created_at >= filters.created_from)
    if filters.created_before is not None:
        conditions.append(Scan.created_at < filters.created_before)
    return conditions


def _narrowing(filters: ScanFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filters.source is not None:
        conditions.append(Scan.source == filters.source)
    if labels := _labels(filters):
        conditions.append(_has_finding(*labels))
    if filters.q:
        in_context = _has_finding(Finding.context.icontains(filters.q, autoescape=True))
        conditions.append(or_(Scan.filename.icontains(filters.q, autoescape=True), in_context))
    return conditions


def _labels(filters: ScanFilter) -> list[ColumnElement[bool]]:
    labels = (
        (Finding.category, filters.category),
        (Finding.risk_type, filters.risk_type),
        (Finding.foreign_category, filters.foreign_category),
        (Finding.foreign_risk, filters.foreign_risk),
    )
    return [column == value for column, value in labels if value is not None]


def _is_in(scan_id: UUID) -> ColumnElement[bool]:
    is_same = (_other.scan_id == scan_id, _other.fingerprint == Finding.fingerprint)
    return select(_other.n).where(*is_same).exists()


def _has_finding(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(Finding.n).where(Finding.scan_id == Scan.id, *conditions).exists()
