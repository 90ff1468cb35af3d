"""Sentences as their documents have them: which belong together, in which order, how far apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from ml.corpus.dataset import Example
from service.nlp.analyzers.base import SentenceScorer
from service.nlp.arrays import Floats
from service.nlp.inference.neighbour_context import logits_in_document
from service.nlp.taxonomy import RISK_TYPES

_NUMBER_AT_END = re.compile(r"\d+$")


def by_document(examples: Sequence[Example]) -> list[list[int]]:
    """Return the rows of each document, in reading order: by place, or as they come where one has none."""
    rows_of: dict[str, list[int]] = {}
    for row, example in enumerate(examples):
        rows_of.setdefault(example.doc, []).append(row)
    return [_in_order(rows, examples) for rows in rows_of.values()]


def _in_order(rows: list[int], examples: Sequence[Example]) -> list[int]:
    places = [place_of(examples[row]) for row in rows]
    if None in places:
        return rows
    return [row for _, row in sorted(zip(places, rows, strict=True))]


def place_of(example: Example) -> int | None:
    """Return the number at which the sentence's id ends, which counts sentences; None without one."""
    found = _NUMBER_AT_END.search(example.id)
    return int(found.group()) if found else None


def places_in(rows: Sequence[int], examples: Sequence[Example]) -> list[int]:
    """Return where each of a document's `rows` stands in it: numbers of ids, or else 0, 1, 2 ..."""
    places = [place_of(examples[row]) for row in rows]
    known = [place for place in places if place is not None]
    return known if len(known) == len(places) else list(range(len(rows)))


def score_documents(analyzer: SentenceScorer, examples: Sequence[Example]) -> Floats:
    """Let an open analyzer read the sentences document by document.

    Returns float32 (n, n_risk_types), rows as `examples` has them.
    """
    return _by_rows(
        ((rows, analyzer.score_document([examples[row].text for row in rows])))
        for rows in by_document(examples)
    )


def logits_in_documents(outputs: Floats, examples: Sequence[Example]) -> Floats:
    """Return float32 (n, n_risk_types) logits of sentences in their documents.

    `outputs` are a network's for each of the examples by itself, see nlp/inference/neighbour_context.py.
    """
    return _by_rows((rows, logits_in_document(outputs[rows])) for rows in by_document(examples))


def _by_rows(parts: Iterable[tuple[list[int], Floats]]) -> Floats:
    rows, values = [], [np.zeros((0, len(RISK_TYPES)), np.float32)]
    for some, found in parts:
        rows += some
        values.append(found)
    return np.concatenate(values)[np.argsort(rows)] if rows else values[0]
