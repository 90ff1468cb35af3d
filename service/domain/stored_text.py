"""Stored texts as documents, scans and reviews read them. Imports none of these."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.orm import Session

from db.queries.documents import list_text
from db.tables import Document, StoredText
from service.domain.document_storage import missing_text_reason
from service.errors import NotFound


def check_text_is_stored(document: Document) -> None:
    """Raise NotFound with the reason if the text of a document is not stored."""
    if document.text_stored != StoredText.FULL:
        raise NotFound(missing_text_reason(document) or "The text of this document is not stored.")


def read_characters(session: Session, document_id: UUID, *, start: int, end: int) -> str:
    """Return the text of a document from `start` to `end` (exclusive), in code points.

    The result is shorter if the text ends before `end`, and empty if no text is stored.
    """
    pieces = list_text(session, document_id, start=start, end=end)
    return "".join(piece.text[max(0, start - piece.start) : end - piece.start] for piece in pieces)
