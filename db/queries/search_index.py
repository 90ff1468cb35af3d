"""What search is to contain: scans and documents without words or vectors, and the rows that add them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, delete, func, insert, select, update
from sqlalchemy.orm import Session

from db.queries.pages import newest_first
from db.tables import (
    Base,
    Document,
    DocumentText,
    Finding,
    Scan,
    SearchOwner,
    SearchVectors,
    SearchWords,
)

_INSERT_WORDS = insert(Base.metadata.tables[SearchWords.__tablename__])


def unindexed_scans(
    session: Session, model: str | None, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Row[UUID, datetime, bool]]:
    """Return id, time and whether search lacks it, of up to `limit` scans, newest first, past `after`.

    A scan with findings needs words, and vectors of `model`; None stands for a model without vectors. A scan
    without findings needs words of its document only.
    """
    lacks = ~_has_words() | ~_has_document_words()
    if model is not None:
        lacks |= ~_has_vectors(model)
    query = select(Scan.id, Scan.created_at, lacks.label("is_missing"))
    paged = newest_first(cast("Select[Any]", query), Scan, after=after)
    return session.execute(paged.limit(limit)).all()


def count_scans(session: Session) -> int:
    """Return the number of all scans."""
    return session.scalar(select(func.count()).select_from(Scan)) or 0


def sentences(session: Session, scan_id: UUID) -> Sequence[Row[int, str, str | None]]:
    """Return number, sentence and category of each finding of a scan, by number."""
    columns = (Finding.n, Finding.context, Finding.category)
    return session.execute(
        select(*columns).where(Finding.scan_id == scan_id).order_by(Finding.n)
    ).all()


def has_words(session: Session, scan_id: UUID) -> bool:
    """Return whether search has the words of a scan's findings."""
    query = select(SearchWords.id).where(SearchWords.scan_id == scan_id)
    return session.scalar(query.limit(1)) is not None


def has_document_words(session: Session, document_id: UUID) -> bool:
    """Return whether search has the words of a document."""
    return (
        session.scalar(select(SearchWords.id).where(SearchWords.document_id == document_id))
        is not None
    )


def has_vectors(session: Session, scan_id: UUID, model: str) -> bool:
    """Return whether search has the vectors of a scan's findings by a model."""
    query = select(SearchVectors.part).where(
        SearchVectors.scan_id == scan_id, SearchVectors.model == model
    )
    return session.scalar(query.limit(1)) is not None


def document_text(session: Session, document_id: UUID, *, max_pieces: int) -> tuple[str, list[str]]:
    """Return the name of a document, and the first pieces of its text as far as it is stored."""
    query = select(Document.name, Document.text).where(Document.id == document_id)
    row = session.execute(query).one_or_none()
    if row is None:
        return "", []
    pieces = select(DocumentText.text).where(DocumentText.document_id == document_id)
    texts = session.scalars(pieces.order_by(DocumentText.n).limit(max_pieces)).all()
    return row.name or "", [text for text in (row.text, *texts) if text]


def add_words(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of words from their values: scan_id, n, document_id and words of each.

    Raises:
        IntegrityError: the scan or document is gone, or another process has added them.
    """
    if rows:
        session.connection().execute(_INSERT_WORDS, [dict(row) for row in rows])


def put_vectors(
    session: Session,
    *,
    user_id: UUID,
    scan_id: UUID,
    model: str,
    parts: Sequence[tuple[str, bytes]],
) -> None:
    """Store categories and vectors of a scan's findings, in place of those by another model.

    Raises:
        IntegrityError: the scan or the account is gone, or another process stored the account's first ones.
    """
    revision = _next_revision(session, user_id)
    session.execute(delete(SearchVectors).where(SearchVectors.scan_id == scan_id))
    same = {"user_id": user_id, "scan_id": scan_id, "model": model, "revision": revision}
    rows = [
        {**same, "part": part, "categories": categories, "vectors": vectors}
        for part, (categories, vectors) in enumerate(parts)
    ]
    session.execute(insert(SearchVectors), rows)


def _next_revision(session: Session, user_id: UUID) -> int:
    """Count one more revision of a user's vectors, and lock it: revisions are committed in their order."""
    raised = update(SearchOwner).where(SearchOwner.user_id == user_id)
    one_more = raised.values(revision=SearchOwner.revision + 1)
    if session.connection().execute(one_more).rowcount == 0:
        session.execute(insert(SearchOwner).values(user_id=user_id, revision=1))
    query = select(SearchOwner.revision).where(SearchOwner.user_id == user_id)
    return session.scalar(query) or 1


def _has_words() -> ColumnElement[bool]:
    is_same = SearchWords.scan_id == Scan.id
    return (Scan.n_findings == 0) | select(SearchWords.id).where(is_same).exists()


def _has_document_words() -> ColumnElement[bool]:
    is_same = SearchWords.document_id == Scan.document_id
    return Scan.document_id.is_(None) | select(SearchWords.id).where(is_same).exists()


def _has_vectors(model: str) -> ColumnElement[bool]:
    is_same = (SearchVectors.scan_id == Scan.id, SearchVectors.model == model)
    return (Scan.n_findings == 0) | select(SearchVectors.part).where(*is_same).exists()
