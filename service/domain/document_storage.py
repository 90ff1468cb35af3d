"""The rows of a scanned document (text in pieces, hashes, or neither), and the text read back from them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt
import uuid_utils.compat

from db import tables
from db.tables import StoredText, TextLimit
from service.nlp.document import Block, ExtractedText
from service.nlp.layout import Headings, Layout, Pages, Part
from service.nlp.pipeline import ScanResult
from service.nlp.span_sequence import SpanSequence, offset_array

PIECE_CHARS = 50_000
"""Longest piece of a stored text, so that reading a range reads little more than the range."""
_LEAST_FIRST = tuple(StoredText)
_REASONS = {
    TextLimit.OPERATOR: "The operator has set STORE_TEXT to {stored}, so the text is not stored; only the "
    "sentences of findings are.",
    TextLimit.USER: "Your settings say store_text={stored}, so the text is not stored; only the sentences "
    "of findings are.",
    TextLimit.UNREAD: "Only the AI service could read this file, so its text is not known here.",
}


@dataclass(frozen=True, slots=True)
class TextPolicy:
    """How much of a document's text is stored, and why not all of it; `limit` is None with `full`."""

    stored: StoredText
    limit: TextLimit | None = None


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document to be stored, as values of its row, and the rows of a text of more than one piece."""

    values: dict[str, Any]
    pieces: list[dict[str, Any]]


def text_policy(cap: str, choice: str | None = None) -> TextPolicy:
    """Return the lesser of the operator's cap, STORE_TEXT, and the user's own choice, if there is one."""
    allowed, wanted = StoredText(cap), StoredText(choice or StoredText.FULL)
    stored = min(allowed, wanted, key=_LEAST_FIRST.index)
    if stored == StoredText.FULL:
        return TextPolicy(stored)
    return TextPolicy(stored, TextLimit.OPERATOR if stored == allowed else TextLimit.USER)


def missing_text_reason(document: tables.Document) -> str | None:
    """Return a sentence for people that says why a document's text is not stored; None if it is."""
    if document.text_limit is None:
        return None
    return _REASONS[TextLimit(document.text_limit)].format(stored=document.text_stored)


def new_document(
    user_id: UUID, result: ScanResult, *, name: str | None, policy: TextPolicy, at: datetime
) -> NewDocument:
    """Return the rows of a scanned document, as far as `policy` allows."""
    extracted = result.extracted
    if extracted is None and policy.stored == StoredText.FULL:
        policy = TextPolicy(StoredText.HASH, TextLimit.UNREAD)
    is_hashed = policy.stored != StoredText.NONE
    text_sha256 = _sha256(extracted.text) if extracted is not None and is_hashed else None
    sha256 = result.document_sha256 if is_hashed else None
    values: dict[str, Any] = {
        "id": _document_id(user_id, policy.stored, sha256, text_sha256),
        "user_id": user_id,
        "name": name,
        "media_type": result.media_type,
        "sha256": sha256,
        "text_sha256": text_sha256,
        "size_bytes": result.size_bytes,
        "n_characters": None if extracted is None else len(extracted.text),
        "n_pages": result.document.layout.n_pages,
        "language": result.languages.main,
        "layout": None,
        "text_stored": policy.stored,
        "text_limit": policy.limit,
        "n_scans": 1,
        "created_at": at,
        "version": 1,
        "original_sha256": None,
        "text": None,
        "blocks": None,
    }
    values["series_id"] = values["id"]
    if extracted is None or policy.stored != StoredText.FULL:
        return NewDocument(values, [])
    values["layout"] = _layout_values(extracted.layout)
    pieces = list(_pieces(extracted))
    if len(pieces) > 1:
        return NewDocument(values, pieces)
    [short] = pieces
    return NewDocument(values | {name: short[name] for name in ("text", "blocks")}, [])


def extracted_text(
    document: tables.Document, pieces: Sequence[tables.DocumentText]
) -> ExtractedText:
    """Return the whole text with blocks and layout from all pieces of a document, in order."""
    rows = [_block_rows(piece) for piece in pieces]
    blocks = np.concatenate(rows) if rows else np.empty((0, 3), np.int64)
    offsets = np.ascontiguousarray(blocks[:, :2])
    layout = document_layout(document)
    names = tuple((document.layout or {}).get("headings", ()))
    if names:
        starts, headings = np.ascontiguousarray(offsets[:, 0]), blocks[:, 2].astype(np.int32)
        layout = replace(layout, headings=Headings(names, starts, headings))
    text = "".join(piece.text for piece in pieces)
    return ExtractedText(text, SpanSequence(offsets, Block), layout)


def partial_text(pieces: Sequence[tables.DocumentText]) -> ExtractedText:
    """Return the text and blocks of neighbouring pieces; offsets count from the start of the first.

    A block that starts before the first piece is missing.
    """
    text = "".join(piece.text for piece in pieces)
    if not pieces:
        return ExtractedText(text, ())
    offsets = np.concatenate([_block_rows(piece)[:, :2] for piece in pieces]) - pieces[0].start
    return ExtractedText(text, SpanSequence(np.minimum(offsets, len(text)), Block))


def document_layout(document: tables.Document) -> Layout:
    """Return the parts and pages of a document whose text is stored, without its headings."""
    layout = document.layout or {}
    files = frozenset(layout.get("files", ()))
    parts = tuple(
        _part(values, begins_file=n in files) for n, values in enumerate(layout.get("parts", ()))
    )
    return Layout(parts) if parts else Layout()


def _document_id(
    user_id: UUID, stored: StoredText, sha256: str | None, text_sha256: str | None
) -> UUID:
    """Return the same id for the same document of a user; a new one if its hash must not be stored."""
    if sha256 is None:
        return uuid_utils.compat.uuid7()
    return uuid.uuid5(user_id, f"{stored} {sha256} {text_sha256}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _layout_values(layout: Layout) -> dict[str, Any]:
    parts = [{**asdict(part), "pages": asdict(part.pages)} for part in layout.parts]
    # A list of its own, since the release before refuses parts with another field.
    files = [n for n, part in enumerate(parts) if part.pop("begins_file")]
    headings = list(layout.headings.names) if layout.headings else []
    return {"parts": parts, "files": files, "headings": headings}


def _part(values: Mapping[str, Any], *, begins_file: bool) -> Part:
    pages = {name: tuple(numbers) for name, numbers in values["pages"].items()}
    return Part(**{**values, "pages": Pages(**pages)}, begins_file=begins_file)


def _block_rows(piece: tables.DocumentText) -> npt.NDArray[np.int64]:
    """Return start, end and heading of a piece's blocks, int64 (n, 3), by offset in the document."""
    rows = np.frombuffer(piece.blocks, "<i4").reshape(-1, 3).astype(np.int64)
    shifted: npt.NDArray[np.int64] = rows + np.array([piece.start, piece.start, 0])
    return shifted


def _pieces(extracted: ExtractedText) -> Iterator[dict[str, Any]]:
    """Yield the rows of a text, in pieces of at most PIECE_CHARS characters."""
    offsets, headings = offset_array(extracted.blocks), extracted.layout.headings
    rows = headings.rows if headings else np.full(len(offsets), -1)
    blocks = np.column_stack([offsets, rows])
    bounds = _bounds(extracted.text)
    # A piece has the blocks that start before its end, the last piece all that are left.
    ends = [*np.searchsorted(offsets[:, 0], bounds[1:-1]).tolist(), len(blocks)]
    first = 0
    for n, ((start, end), last) in enumerate(zip(pairwise(bounds), ends, strict=True), start=1):
        own = blocks[first:last] - np.array([start, start, 0])
        yield {
            "n": n,
            "start": start,
            "end": end,
            "text": extracted.text[start:end],
            "blocks": own.astype("<i4").tobytes(),
        }
        first = last


def _bounds(text: str) -> list[int]:
    """Return the start of each piece, and the end of the last; pieces end after a line or word."""
    bounds = [0]
    while len(text) - bounds[-1] > PIECE_CHARS:
        start = bounds[-1]
        least, most = start + PIECE_CHARS // 2, start + PIECE_CHARS
        at = text.rfind("\n", least, most)
        if at < 0:
            at = text.rfind(" ", least, most)
        bounds.append(most if at < 0 else at + 1)
    return [*bounds, len(text)]
