"""Use cases of stored documents: read with pages and scans, read the text, list, delete.

`reach` is the owner whose documents alone the caller may read; None for callers who read everyone's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from uuid import UUID

from sqlalchemy.orm import Session

from db import tables
from db.queries import documents as queries
from db.queries.reach import Reach, own
from db.tables import StoredText
from service.domain.audit import Action, Actor, event, record
from service.domain.document_storage import document_layout
from service.domain.stored_text import check_text_is_stored, read_characters
from service.errors import Fault, InvalidRequest, NotFound

MAX_TEXT_CHARS = 200_000
"""Longest text in one answer."""
MAX_SCANS = 100
"""Most scans listed with their document."""
MAX_VERSIONS = 100
"""Most versions listed with their document."""


@dataclass(frozen=True, slots=True)
class Page:
    """The span of a page, or of a piece of a text without pages; `part` names a sheet or an attachment."""

    page: int | None
    part: str | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DocumentDetail:
    """A document, where its pages are, its newest scans and the versions of it, both newest first.

    `version_scans` is the newest scan of each version, by the version's id.
    """

    document: tables.Document
    pages: Sequence[Page]
    scans: Sequence[tables.Scan]
    versions: Sequence[tables.Document]
    version_scans: Mapping[UUID, tables.Scan]


@dataclass(frozen=True, slots=True)
class TextSelection:
    """Part of a text: a page (of `part`, if several parts have it), or a range of characters."""

    page: int | None = None
    part: str | None = None
    start: int = 0
    end: int | None = None


@dataclass(frozen=True, slots=True)
class TextRange:
    """A range of a document's text; `end` is exclusive. `page` and `part` are those where it begins."""

    start: int
    end: int
    text: str
    page: int | None
    part: str | None


def get_document(session: Session, reach: Reach, document_id: UUID) -> DocumentDetail:
    """Return a document with pages, newest scans and versions; NotFound if it is not in reach."""
    document = find_document(session, reach, document_id)
    pages = _pages(document, queries.list_piece_starts(session, document_id))
    scans = queries.list_document_scans(session, document_id, limit=MAX_SCANS)
    versions = queries.list_versions(session, document.series_id, reach, limit=MAX_VERSIONS)
    version_scans = queries.newest_scans(session, [version.id for version in versions])
    # A version without a scan was deleted since the query before.
    versions = [version for version in versions if version.id in version_scans]
    return DocumentDetail(document, pages, scans, versions, version_scans)


def find_document(session: Session, reach: Reach, document_id: UUID) -> tables.Document:
    """Return a document; NotFound as in `get_document`."""
    document = queries.get_document(session, document_id, reach)
    if document is None:
        raise _not_found()
    return document


def list_documents(
    session: Session,
    reach: Reach,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
    newest_only: bool = True,
) -> Sequence[tables.Document]:
    """Return up to `limit` documents, newest first, past the position `after`.

    With `newest_only`, only the newest version of each.
    """
    return queries.list_documents(session, reach, limit=limit, after=after, newest_only=newest_only)


def read_text(
    session: Session, reach: Reach, document_id: UUID, selection: TextSelection
) -> TextRange:
    """Return the selected text, at most MAX_TEXT_CHARS characters of it; continue from its end.

    Raises:
        NotFound: no such document, or its text is not stored.
        InvalidRequest: the document has no such page, or the range begins after the text.
    """
    document = require_text(session, reach, document_id)
    start, end = _span(document, selection)
    end = min(end, start + MAX_TEXT_CHARS)
    text = read_characters(session, document_id, start=start, end=end)
    part = document_layout(document).part_at(start)
    page = part.pages.at(start) if selection.page is None else selection.page
    return TextRange(start, start + len(text), text, page, part.name or None)


def require_text(session: Session, reach: Reach, document_id: UUID) -> tables.Document:
    """Return a document whose text is stored; NotFound with the reason if it is not."""
    document = find_document(session, reach, document_id)
    check_text_is_stored(document)
    return document


def delete_document(
    session: Session, user_id: UUID, document_id: UUID, *, all_versions: bool = False
) -> list[str]:
    """Delete a user's document with its text, scans, findings and feedback; NotFound as in `get_document`.

    With `all_versions`, delete its other versions too. Returns the hashes of their originals.
    """
    document = find_document(session, own(user_id), document_id)
    documents = [document]
    if all_versions:
        documents = [*queries.list_versions(session, document.series_id, own(user_id))]
    documents = [
        version for version in documents if queries.delete_document(session, version.id, user_id)
    ]
    if not documents:  # another request deleted them first
        raise _not_found()
    deleted = [
        event(
            Action.DOCUMENT_DELETED,
            actor=Actor(user_id),
            object_type="document",
            object_id=version.id,
        )
        for version in documents
    ]
    record(session, *deleted)
    return [version.original_sha256 for version in documents if version.original_sha256]


def _span(document: tables.Document, selection: TextSelection) -> tuple[int, int]:
    n_characters = document.n_characters or 0
    if selection.page is None:
        if selection.start > n_characters:
            message = f"The text has {n_characters} characters; send a start within it."
            raise _refusal("start", message)
        return selection.start, min(
            n_characters if selection.end is None else selection.end, n_characters
        )
    if document.n_pages is None:
        raise _refusal("page", "This document has no pages; send start and end.")
    pages = [
        page
        for page in _pages(document)
        if page.page == selection.page and selection.part in (None, page.part)
    ]
    if len(pages) == 1:
        return pages[0].start, pages[0].end
    if pages:
        raise _refusal("part", f"Several parts have a page {selection.page}; send part too.")
    in_part = "" if selection.part is None else " in this part"
    message = (
        f"There is no page {selection.page}{in_part}; the document has {document.n_pages} pages."
    )
    raise _refusal("page", message)


def _pages(document: tables.Document, piece_starts: Sequence[int] = ()) -> list[Page]:
    """Return the pages; a part without pages is cut where the pieces of the text begin."""
    if document.text_stored != StoredText.FULL:
        return []
    pages = []
    parts, n_characters = document_layout(document).parts, document.n_characters or 0
    for part, end in zip(parts, [*(p.start for p in parts[1:]), n_characters], strict=True):
        cuts = [start for start in piece_starts if part.start < start < end]
        starts = part.pages.starts or (part.start, *cuts)
        for n, span in enumerate(pairwise([*starts, end]), start=1):
            pages.append(Page(n if part.pages.starts else None, part.name or None, *span))
    return pages


def _not_found() -> NotFound:
    return NotFound("There is no document with this id that you may read.")


def _refusal(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, faults=(Fault(field, message),))
