"""Turns a reader's result into an ExtractedText; validates it if it comes from the sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from service.errors import UnreadableDocument
from service.nlp.arrays import Ints, Offsets
from service.nlp.document import Block, ExtractedText
from service.nlp.extraction.text_builder import MAX_PARTS, TextBuilder, storable
from service.nlp.layout import Headings, Layout, Pages, Part
from service.nlp.span_sequence import SpanSequence

_OFFSETS_BYTES, _ROW_BYTES = 16, 4  # of one block
_MAX_LABEL_CHARS = 1_000


def extracted_text(builder: TextBuilder) -> ExtractedText:
    """Return the result of a reader that ran in this process."""
    offsets = np.frombuffer(builder.offsets, np.int64).reshape(-1, 2)
    layout = Layout()
    if builder.headings:
        rows = np.frombuffer(builder.heading_rows, np.int32)
        layout = Layout(headings=Headings(tuple(builder.headings), _starts(offsets), rows))
    return ExtractedText(builder.text(), SpanSequence(offsets, Block), layout)


def validated(
    head: Mapping[str, Any], body: memoryview, max_chars: int
) -> tuple[ExtractedText, dict[int, bytes]]:
    """Validate the child's answer, since it read hostile bytes.

    Returns the text, and the PDFs that OCR may read by the number of their part, from 0.

    Raises:
        UnreadableDocument: the answer is malformed.
    """
    n_blocks = head.get("n_blocks")
    names = _labels(head.get("headings"))
    per_block = _OFFSETS_BYTES + (_ROW_BYTES if names else 0)
    if type(n_blocks) is not int or not 0 <= per_block * n_blocks <= len(body):
        raise _malformed()
    pictures, n_bytes = _pictures(head.get("pictures"), body[per_block * n_blocks :])
    try:
        text = str(body[per_block * n_blocks + n_bytes :], "utf-8")
    except UnicodeDecodeError as error:
        raise _malformed() from error
    if len(text) > max_chars + 1:  # one for the last separator
        raise _malformed()
    offsets = _ascending_offsets(np.frombuffer(body, np.int64, 2 * n_blocks), len(text))
    headings = None
    if names:
        rows = np.frombuffer(body, np.int32, n_blocks, _OFFSETS_BYTES * n_blocks)
        headings = Headings(names, _starts(offsets), _rows_of(rows, len(names)))
    layout = Layout(_parts(head.get("parts"), len(text)), headings)
    if any(part >= len(layout.parts) for part in pictures):
        raise _malformed()
    return ExtractedText(storable(text), SpanSequence(offsets, Block), layout), pictures


def _pictures(items: object, body: memoryview) -> tuple[dict[int, bytes], int]:
    """Return the PDFs at the beginning of `body`, and the number of their bytes."""
    found: dict[int, bytes] = {}
    at = 0
    for item in items if isinstance(items, list) else [None]:
        part, n_bytes = _ascending(item, len(body)) if _is_pair(item) else (-1, -1)
        if part < 0 or at + n_bytes > len(body):
            raise _malformed()
        found[part] = bytes(body[at : at + n_bytes])
        at += n_bytes
    return found, at


def _is_pair(item: object) -> bool:
    return isinstance(item, list) and len(item) == 2


def _starts(offsets: Offsets) -> Ints:
    return np.ascontiguousarray(offsets[:, 0])


def _parts(items: object, n_chars: int) -> tuple[Part, ...]:
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_PARTS + 1:
        raise _malformed()
    parts = tuple(_part(item, n_chars) for item in items)
    if parts[0].start != 0 or any(a.start > b.start for a, b in pairwise(parts)):
        raise _malformed()
    ends = [part.start for part in parts[1:]]
    for part, end in zip(parts, [*ends, n_chars], strict=True):
        starts = part.pages.starts
        if starts and not (starts[0] == part.start and starts[-1] <= end):
            raise _malformed()
    return parts


def _part(item: object, n_chars: int) -> Part:
    if not isinstance(item, dict):
        raise _malformed()
    (start,) = _ascending([item.get("start")], n_chars)
    starts = _ascending(item.get("page_starts"), n_chars)
    missing = _ascending(item.get("pages_without_text"), len(starts))
    problem, begins_file = item.get("problem"), item.get("begins_file")
    if not isinstance(begins_file, bool):
        raise _malformed()
    name, *why = _labels([item.get("name"), *([] if problem is None else [problem])])
    pages = Pages(tuple(starts), tuple(missing))
    return Part(name, start, pages, why[0] if why else None, begins_file)


def _labels(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise _malformed()
    if not all(isinstance(v, str) and len(v) <= _MAX_LABEL_CHARS for v in values):
        raise _malformed()
    return tuple(storable(v) for v in values)


def _rows_of(rows: npt.NDArray[np.int32], n_names: int) -> npt.NDArray[np.int32]:
    if rows.size and not (rows.min() >= -1 and rows.max() < n_names):
        raise _malformed()
    return rows.copy()


def _ascending_offsets(flat: Ints, limit: int) -> Offsets:
    """Return `flat` as pairs if it ascends within [0, `limit`]; else raise UnreadableDocument."""
    if flat.size and not (flat[0] >= 0 and flat[-1] <= limit and (np.diff(flat) >= 0).all()):
        raise _malformed()
    return flat.reshape(-1, 2).copy()  # aligned, and it does not keep the text's bytes alive


def _ascending(values: object, limit: int) -> list[int]:
    """Return `values` if they are ascending integers in [0, `limit`]; else raise UnreadableDocument."""
    if not isinstance(values, list) or not all(type(v) is int and 0 <= v <= limit for v in values):
        raise _malformed()
    if any(a > b for a, b in pairwise(values)):
        raise _malformed()
    return values


def _malformed() -> UnreadableDocument:
    return UnreadableDocument("The file could not be read. Save it again and send the new file.")
