"""What the external index service is to have: documents with their readers, and the teams of a reader."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Document, DocumentShare, Scan, TeamMember


@dataclass(frozen=True, slots=True)
class IndexedDocument:
    """A document without its text: `team_ids` are those that it is shared with, in order."""

    id: UUID
    name: str
    owner_id: UUID
    team_ids: tuple[UUID, ...]
    text_stored: str


def documents_after(
    session: Session, after: UUID | None, *, limit: int
) -> Sequence[IndexedDocument]:
    """Return up to `limit` documents with an id above `after`, in the order of their ids."""
    query = _DOCUMENTS if after is None else _DOCUMENTS.where(Document.id > after)
    rows = session.execute(query.order_by(Document.id).limit(limit)).all()
    teams = _teams(session, [row.id for row in rows])
    return [
        IndexedDocument(row.id, row.name or "", row.user_id, teams.get(row.id, ()), row.text_stored)
        for row in rows
    ]


def document_of_scan(session: Session, scan_id: UUID) -> IndexedDocument | None:
    """Return the document of a scan; None if the scan is gone or has none."""
    query = _DOCUMENTS.join(Scan, Scan.document_id == Document.id).where(Scan.id == scan_id)
    row = session.execute(query).one_or_none()
    if row is None:
        return None
    teams = _teams(session, [row.id]).get(row.id, ())
    return IndexedDocument(row.id, row.name or "", row.user_id, teams, row.text_stored)


def teams_of(session: Session, user_id: UUID) -> Sequence[UUID]:
    """Return the teams of a user."""
    return session.scalars(select(TeamMember.team_id).where(TeamMember.user_id == user_id)).all()


_DOCUMENTS = select(Document.id, Document.name, Document.user_id, Document.text_stored)


def _teams(session: Session, document_ids: Sequence[UUID]) -> dict[UUID, tuple[UUID, ...]]:
    if not document_ids:
        return {}
    query = select(DocumentShare.document_id, DocumentShare.team_id)
    teams: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for document_id, team_id in session.execute(
        query.where(DocumentShare.document_id.in_(document_ids))
    ):
        teams[document_id].append(team_id)
    return {document_id: tuple(sorted(found)) for document_id, found in teams.items()}
