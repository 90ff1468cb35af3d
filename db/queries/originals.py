"""The original bytes of documents, which are on disk under the SHA-256 of their content."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from db.tables import Document


def has_bytes(session: Session, user_id: UUID, sha256: str) -> bool:
    """Return whether a document of this user has these bytes as its original."""
    is_theirs = (Document.original_sha256 == sha256, Document.user_id == user_id)
    return bool(session.scalar(select(exists().where(*is_theirs))))


def stored_bytes(session: Session, user_id: UUID) -> dict[str, int]:
    """Return the bytes that a user's documents need: size by SHA-256."""
    query = select(Document.original_sha256, Document.size_bytes)
    query = query.where(Document.user_id == user_id, Document.original_sha256.is_not(None))
    return {sha256: size for sha256, size in session.execute(query.distinct()) if sha256}


def users_with_originals(session: Session) -> set[UUID]:
    """Return the ids of all users that have documents with their original."""
    query = select(Document.user_id).where(Document.original_sha256.is_not(None))
    return set(session.scalars(query.distinct()))


def forget_bytes(session: Session, user_id: UUID, sha256: str) -> int:
    """Store that these bytes are not stored any more; return how many documents had them."""
    lost = update(Document).where(Document.original_sha256 == sha256, Document.user_id == user_id)
    return session.connection().execute(lost.values(original_sha256=None)).rowcount
