"""Reading order: which sentences belong to a document, in which order, and how far apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from ml.corpus.dataset import Example
from service.nlp.analyzers.base import SentenceScorer
from service.nlp.arrays import Floats
from service.nlp.inference.neighbour_context import document_logits

_NUMBER_AT_END = re.compile(r"\d+$")


def by_document(examples: Sequence[Example]) -> list[list[int]]:
    """Return the rows of each document in reading order.

    It is the file's order if a sentence has no number, or two have the same: these count something else.
    """
    rows_by_document: dict[str, list[int]] = {}
    for row, example in enumerate(examples):
        rows_by_document.setdefault(example.doc, []).append(row)
    return [_in_order(rows, examples) for rows in rows_by_document.values()]


def _in_order(rows: list[int], examples: Sequence[Example]) -> list[int]:
    numbers = _own_numbers(rows, examples)
    return [row for _, row in sorted(zip(numbers, rows, strict=True))] if numbers else rows


def sentence_number(example: Example) -> int | None:
    """Return the sentence's place in its document, or the number at the end of its id; None if unknown."""
    if example.place is not None:
        return example.place
    match = _NUMBER_AT_END.search(example.id)
    return int(match.group()) if match else None


def sentence_numbers(rows: Sequence[int], examples: Sequence[Example]) -> list[int]:
    """Return the place of each of a document's `rows`: its number, or 0, 1, 2 ... as in `by_document`."""
    return _own_numbers(rows, examples) or list(range(len(rows)))


def _own_numbers(rows: Sequence[int], examples: Sequence[Example]) -> list[int]:
    """Return the number of each row; empty if one has none, or two have the same."""
    numbers = {sentence_number(examples[row]): None for row in rows}
    known = [number for number in numbers if number is not None]
    return known if len(known) == len(rows) else []


def score_documents(analyzer: SentenceScorer, examples: Sequence[Example]) -> Floats:
    """Score the sentences document by document: float32 (n, n_risk_types), rows as in `examples`."""
    parts = (
        (rows, analyzer.score_document([examples[row].text for row in rows]))
        for rows in by_document(examples)
    )
    return _by_rows(parts, len(analyzer.taxonomy.risk_types))


def logits_in_documents(outputs: Floats, examples: Sequence[Example], n_types: int) -> Floats:
    """Return float32 (n, n_types) logits of sentences in their documents.

    `outputs` are the network's outputs for each example alone, see nlp/inference/neighbour_context.py.
    """
    parts = ((rows, document_logits(outputs[rows], n_types)) for rows in by_document(examples))
    return _by_rows(parts, n_types)


def _by_rows(parts: Iterable[tuple[list[int], Floats]], n_types: int) -> Floats:
    rows, values = [], [np.zeros((0, n_types), np.float32)]
    for part_rows, part in parts:
        rows += part_rows
        values.append(part)
    return np.concatenate(values)[np.argsort(rows)] if rows else values[0]
