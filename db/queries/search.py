"""Reads for search: the best matches by words, and the stored vectors of findings in reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from db.queries.full_text import best_matches
from db.queries.pages import newest_first
from db.queries.places import Place, at_places
from db.queries.reach import Reach, document_in_reach, documents_of, scans_of
from db.queries.scans import NEWEST_FIRST_OF_ALL
from db.tables import Document, Finding, Scan, SearchOwner, SearchVectors, SearchWords

VectorRow = tuple[UUID, int, UUID, str, bytes]
"""Scan, part, series, categories and vectors of a row of SearchVectors; see Known for the series."""
_AT_ONCE = 500
"""Scans of one statement; SQLite takes 32,766 parameters."""


@dataclass(frozen=True, slots=True)
class Known:
    """By what a finding is compared with those of other scans.

    `series_id` is that of the document's versions, or the scan's id if it has no document.
    """

    fingerprint: str
    document_id: UUID | None
    series_id: UUID


def findings_by_words(
    session: Session, terms: Sequence[str], reach: Reach, *, category: str | None, limit: int
) -> list[Place]:
    """Return up to `limit` findings in reach with any of the terms, best first.

    The terms of one owner, or of all, have that in themselves: only shared findings are looked up in reach.
    """
    if not terms:
        return []
    query = select(SearchWords.scan_id, SearchWords.n).where(SearchWords.scan_id.is_not(None))
    query = best_matches(session, query, SearchWords, terms, is_first=reach.member_id is None)
    if reach.member_id is not None:
        query = query.join(Scan, Scan.id == SearchWords.scan_id).where(*scans_of(reach))
    if category is not None:
        is_same = (Finding.scan_id == SearchWords.scan_id) & (Finding.n == SearchWords.n)
        query = query.join(Finding, is_same).where(Finding.category == category)
    return [(scan_id, n) for scan_id, n in session.execute(query.limit(limit)) if scan_id]


def documents_by_words(
    session: Session, terms: Sequence[str], reach: Reach, *, limit: int
) -> list[UUID]:
    """Return up to `limit` documents in reach with any of the terms, best first."""
    if not terms:
        return []
    query = select(SearchWords.document_id).where(SearchWords.document_id.is_not(None))
    query = best_matches(session, query, SearchWords, terms, is_first=reach.member_id is None)
    if reach.member_id is not None:
        query = query.join(Document, Document.id == SearchWords.document_id)
        query = query.where(*documents_of(reach))
    return [row for row in session.scalars(query.limit(limit)) if row is not None]


def documents_at(session: Session, reach: Reach, ids: Sequence[UUID]) -> dict[UUID, Document]:
    """Return those documents of `ids` that are in reach, by id."""
    if not ids:
        return {}
    query = select(Document).where(Document.id.in_(ids), *document_in_reach(reach))
    return {document.id: document for document in session.scalars(query)}


def known_at(session: Session, places: Sequence[Place]) -> dict[Place, Known]:
    """Return those findings at `places` that are stored, by place."""
    query = select(
        Finding.scan_id, Finding.n, Finding.fingerprint, Scan.document_id, _series(Finding.scan_id)
    )
    query = query.join(Scan, Scan.id == Finding.scan_id)
    query = query.outerjoin(Document, Document.id == Scan.document_id)
    rows = session.execute(at_places(session, query, Finding, places))
    return {
        (scan_id, n): Known(fingerprint, document_id, series_id)
        for scan_id, n, fingerprint, document_id, series_id in rows
    }


def owners(session: Session, reach: Reach, *, limit: int) -> Sequence[UUID]:
    """Return up to `limit` users who own scans in reach."""
    query = select(Scan.user_id).where(*scans_of(reach)).distinct()
    return session.scalars(query.limit(limit)).all()


def revision(session: Session, user_id: UUID) -> int:
    """Return how often vectors of a user's findings were stored."""
    query = select(SearchOwner.revision).where(SearchOwner.user_id == user_id)
    return session.scalar(query) or 0


def vectors_since(session: Session, user_id: UUID, model: str, *, after: int) -> list[VectorRow]:
    """Return the vectors of a user's findings by a model that were stored after a revision."""
    query = _vectors().where(
        SearchVectors.user_id == user_id,
        SearchVectors.model == model,
        SearchVectors.revision > after,
    )
    return _rows(session, query)


def parts_of(session: Session, user_id: UUID) -> set[tuple[UUID, int]]:
    """Return scan and part of all vectors of a user's findings."""
    query = select(SearchVectors.scan_id, SearchVectors.part)
    rows = session.execute(query.where(SearchVectors.user_id == user_id))
    return {(scan_id, part) for scan_id, part in rows}


def newest_scans(session: Session, reach: Reach, *, n_scans: int, n_findings: int) -> list[UUID]:
    """Return the ids of the newest scans in reach with findings, up to these numbers, but at least one."""
    query: Any = select(Scan.id, Scan.n_findings)
    query = query.where(*scans_of(reach), Scan.n_findings > 0)
    if reach.is_everyones:
        for dialect in ("mysql", "mariadb"):  # as in db.queries.scans
            query = query.with_hint(Scan, f"FORCE INDEX ({NEWEST_FIRST_OF_ALL})", dialect)
    rows = session.execute(newest_first(query, Scan).limit(n_scans)).all()
    totals = accumulate(row.n_findings for row in rows)
    within = [row.id for row, total in zip(rows, totals, strict=True) if total <= n_findings]
    return within or [row.id for row in rows[:1]]


def vectors_of(session: Session, scan_ids: Sequence[UUID], model: str) -> list[VectorRow]:
    """Return the vectors of the findings of some scans by a model."""
    some = [scan_ids[k : k + _AT_ONCE] for k in range(0, len(scan_ids), _AT_ONCE)]
    by_model = _vectors().where(SearchVectors.model == model)
    queries = [by_model.where(SearchVectors.scan_id.in_(ids)) for ids in some]
    return [row for query in queries for row in _rows(session, query)]


def count_findings(session: Session, reach: Reach) -> int:
    """Return the number of findings in reach."""
    query = select(func.coalesce(func.sum(Scan.n_findings), 0)).where(*scans_of(reach))
    return int(session.scalar(query) or 0)


def _rows(session: Session, query: Select[UUID, int, UUID, str, bytes]) -> list[VectorRow]:
    return [
        (scan_id, part, series_id, lines, data)
        for scan_id, part, series_id, lines, data in session.execute(query)
    ]


def _vectors() -> Select[UUID, int, UUID, str, bytes]:
    query = select(
        SearchVectors.scan_id,
        SearchVectors.part,
        _series(SearchVectors.scan_id),
        SearchVectors.categories,
        SearchVectors.vectors,
    )
    query = query.join(Scan, Scan.id == SearchVectors.scan_id)
    return query.outerjoin(Document, Document.id == Scan.document_id)


def _series(scan_id: InstrumentedAttribute[UUID]) -> ColumnElement[UUID]:
    return func.coalesce(Document.series_id, scan_id)
