"""Documents and their text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Session, aliased

from db.queries.pages import Position, newest_first
from db.queries.reach import Reach, document_in_reach, documents_of, is_by_index, scan_in_reach
from db.tables import Base, Document, DocumentText, RiskFinding, Scan

_DOCUMENTS = Base.metadata.tables[Document.__tablename__]
_INSERT_TEXT = insert(Base.metadata.tables[DocumentText.__tablename__])
# One statement stores a new document or counts another scan of it, and locks its row until the transaction
# ends, so that nobody deletes the document before its scan is stored.
_mysql, _sqlite, _postgresql = (
    mysql.insert(_DOCUMENTS),
    sqlite.insert(_DOCUMENTS),
    postgresql.insert(_DOCUMENTS),
)


def _one_more(added: Any) -> dict[str, Any]:  # noqa: ANN401 - the columns of the row that was to be added
    original = func.coalesce(_DOCUMENTS.c.original_sha256, added.original_sha256)
    return {"n_scans": _DOCUMENTS.c.n_scans + 1, "original_sha256": original}


_MYSQL_UPSERT = _mysql.on_duplicate_key_update(_one_more(_mysql.inserted))
_UPSERTS = {
    "sqlite": _sqlite.on_conflict_do_update(
        index_elements=["id"], set_=_one_more(_sqlite.excluded)
    ),
    "postgresql": _postgresql.on_conflict_do_update(
        index_elements=["id"], set_=_one_more(_postgresql.excluded)
    ),
}
_RETURNING = {name: upsert.returning(_DOCUMENTS.c.n_scans) for name, upsert in _UPSERTS.items()}


def add_document(
    session: Session, values: Mapping[str, Any], pieces: Sequence[Mapping[str, Any]]
) -> bool:
    """Insert a document and its text, or count one more scan of it; return whether it is new.

    Pieces need no document_id; all have the same keys.

    Raises:
        IntegrityError: the user is gone.
    """
    if not _is_new(session, dict(values)):
        return False
    if pieces:
        rows = [{**piece, "document_id": values["id"]} for piece in pieces]
        session.connection().execute(_INSERT_TEXT, rows)
    return True


def count_scan(session: Session, document_id: UUID) -> bool:
    """Count one more scan of a stored document; return whether there still is one, locked as above."""
    more = update(Document).where(Document.id == document_id).values(n_scans=Document.n_scans + 1)
    return session.connection().execute(more).rowcount == 1


def get_document(session: Session, document_id: UUID, reach: Reach) -> Document | None:
    """Return a document; None if it is not in reach."""
    query = select(Document).where(Document.id == document_id, *document_in_reach(reach))
    return session.scalar(query)


def list_documents(
    session: Session,
    reach: Reach,
    *,
    limit: int,
    after: Position | None = None,
    newest_only: bool = False,
) -> Sequence[Document]:
    """Return up to `limit` documents in reach, newest first, past `after`.

    With `newest_only`, only the newest version in reach of each document.
    """
    query = select(Document).where(*documents_of(reach))
    if newest_only:
        newer = aliased(Document)
        is_newer = (newer.series_id == Document.series_id, newer.version > Document.version)
        in_reach = [] if is_by_index(reach) else document_in_reach(reach, newer)
        query = query.where(~select(newer.id).where(*is_newer, *in_reach).exists())
    return session.scalars(newest_first(query, Document, after=after).limit(limit)).all()


def list_document_scans(session: Session, document_id: UUID, *, limit: int) -> Sequence[Scan]:
    """Return up to `limit` scans of a document, newest first."""
    query = newest_first(select(Scan).where(Scan.document_id == document_id), Scan)
    return session.scalars(query.limit(limit)).all()


def list_versions(
    session: Session, series_id: UUID, reach: Reach, *, limit: int | None = None
) -> Sequence[Document]:
    """Return up to `limit` versions of a document that are in reach, or all of them, newest first."""
    query = select(Document).where(Document.series_id == series_id, *document_in_reach(reach))
    return session.scalars(query.order_by(Document.version.desc()).limit(limit)).all()


def newest_scans(session: Session, document_ids: Sequence[UUID]) -> dict[UUID, Scan]:
    """Return the newest scan of each document that has one, by the document's id."""
    newest_last = (Scan.created_at.desc(), Scan.id.desc())
    place = func.row_number().over(partition_by=Scan.document_id, order_by=newest_last)
    scans = select(Scan.id, Scan.document_id, place.label("place"))
    ranked = scans.where(Scan.document_id.in_(document_ids)).subquery()
    newest = select(ranked.c.document_id, Scan).join(ranked, ranked.c.id == Scan.id)
    rows = session.execute(newest.where(ranked.c.place == 1))
    return {row.document_id: row.Scan for row in rows}


def newest_version(session: Session, series_id: UUID) -> int:
    """Return the number of a document's newest version; 0 if there is none."""
    query = select(func.max(Document.version)).where(Document.series_id == series_id)
    return session.scalar(query) or 0


def count_versions(session: Session, series_id: UUID) -> int:
    """Return how many versions of a document are stored."""
    query = select(func.count()).where(Document.series_id == series_id)
    return session.scalar(query) or 0


def set_version(session: Session, document: Document, *, series_id: UUID, version: int) -> None:
    """Make a document, the only one of its series, a version of another; it keeps its risks."""
    supported = update(RiskFinding).where(RiskFinding.series_id == document.series_id)
    moved = update(Document).where(Document.id == document.id)
    session.execute(supported.values(series_id=series_id))
    session.execute(moved.values(series_id=series_id, version=version))


def set_series(session: Session, document_id: UUID, series_id: UUID) -> None:
    """Move a document into another series, without its risks."""
    document = update(Document).where(Document.id == document_id)
    session.execute(document.values(series_id=series_id))


def in_series_of(document_id: UUID) -> Select[UUID]:
    """Return the query for the ids of all versions of a document."""
    series_id = select(Document.series_id).where(Document.id == document_id).scalar_subquery()
    return select(Document.id).where(Document.series_id == series_id)


def scan_before(session: Session, scan: Scan, reach: Reach) -> Scan | None:
    """Return the newest scan in reach of any version of the same document that is older than `scan`."""
    if scan.document_id is None:
        return None
    query = select(Scan).where(Scan.document_id.in_(in_series_of(scan.document_id)))
    query = query.where(*scan_in_reach(reach))
    query = newest_first(query, Scan, after=(scan.created_at, scan.id))
    return session.scalar(query.limit(1))


def list_piece_starts(session: Session, document_id: UUID) -> Sequence[int]:
    """Return where the pieces of a document's text begin, ascending; 0 if it is short."""
    query = select(DocumentText.start).where(DocumentText.document_id == document_id)
    return session.scalars(query.order_by(DocumentText.n)).all() or [0]


def list_text(
    session: Session, document_id: UUID, *, start: int = 0, end: int | None = None
) -> Sequence[DocumentText]:
    """Return the pieces of a document that overlap start..end, in order; by default all."""
    query = select(DocumentText).where(DocumentText.document_id == document_id)
    if end is not None:
        query = query.where(DocumentText.start < end, DocumentText.end > start)
    pieces = session.scalars(query.order_by(DocumentText.n)).all()
    return pieces or _short_text(session, document_id, start=start, end=end)


def forget_scan(session: Session, document_id: UUID) -> str | None:
    """Count one scan less of a document; delete the document with its text if that was the last.

    Returns the hash of the original of a deleted document.
    """
    document = Document.id == document_id
    connection = session.connection()
    connection.execute(update(Document).where(document).values(n_scans=Document.n_scans - 1))
    original = session.scalar(select(Document.original_sha256).where(document))
    deletion = delete(Document).where(document, Document.n_scans <= 0)
    return original if connection.execute(deletion).rowcount else None


def delete_document(session: Session, document_id: UUID, user_id: UUID) -> bool:
    """Delete a user's document with its text and scans; return whether there was one."""
    owned = (Document.id == document_id, Document.user_id == user_id)
    return session.connection().execute(delete(Document).where(*owned)).rowcount == 1


def _short_text(
    session: Session, document_id: UUID, *, start: int, end: int | None
) -> list[DocumentText]:
    """Return the only piece of a short text, unless it ends before `start`; [] for a longer text."""
    columns = select(Document.n_characters, Document.text, Document.blocks)
    row = session.execute(
        columns.where(Document.id == document_id, Document.text.is_not(None))
    ).one_or_none()
    if row is None or (end is not None and not (start < row.n_characters and end > 0)):
        return []
    n_characters, text, blocks = row
    return [DocumentText(n=1, start=0, end=n_characters, text=text, blocks=blocks)]


def _is_new(session: Session, values: dict[str, Any]) -> bool:
    connection = session.connection()
    upsert = _RETURNING.get(connection.dialect.name)
    if upsert is None:
        # MySQL and MariaDB count an inserted row as one and an updated row as two.
        return connection.execute(_MYSQL_UPSERT, values).rowcount == 1
    n_scans: int = connection.execute(upsert, values).scalar_one()
    return n_scans == 1
