"""Neighbour influence: neighbouring sentences add to a sentence's logits.

A network with influence has three groups of outputs for each sentence: its own logits, its influence on
the next sentence, and its influence on the sentences near it. So the network reads each sentence once,
whatever its neighbours are. A sentence without neighbours keeps its own logits. Sentences of two files in an
archive or e-mail are no neighbours: the order of the files says nothing.
"""

from __future__ import annotations

import numpy as np

from service.nlp.arrays import NO_ROWS, Doubles, Floats, Rows, row_blocks

RADIUS = 6
"""Sentences on each side that count as near."""


def own_logits(outputs: Floats, n_types: int) -> Floats:
    """Return the logits of sentences without neighbours, float32 (n, n_types)."""
    return outputs[:, :n_types]


def document_logits(outputs: Floats, n_types: int) -> Floats:
    """Return the logits of all sentences of one document, a new float32 array (n, n_types).

    `outputs` is float32 (n, n_types), or (n, 3 * n_types) from a network with influence.
    """
    n = len(outputs)
    total = np.empty((n, n_types), np.float32)
    row_of = np.arange(n)
    for block in row_blocks(n):
        total[block] = block_logits(outputs, row_of, block, n_types=n_types)
    return total


def block_logits(
    outputs: Floats, row_of: Rows, block: slice, *, n_types: int, file_rows: Rows = NO_ROWS
) -> Floats:
    """Return the logits of the sentences `block` of one document, float32 (n_rows, n_types).

    `outputs` has the columns that `document_logits` takes, and a row for each distinct sentence. `row_of`,
    intp (n,), is the row of each sentence of the document. `file_rows`, ascending, has the sentences with
    which another file begins.
    """
    if outputs.shape[1] == n_types or len(row_of) < 2:  # nobody has an influence
        return own_logits(outputs, n_types)[row_of[block]]
    first, last = max(block.start - RADIUS, 0), min(block.stop + RADIUS, len(row_of))
    surroundings = outputs[row_of[first:last]]
    rows = np.arange(block.start - first, block.stop - first)
    begin, end = np.maximum(rows - RADIUS, 0), np.minimum(rows + RADIUS + 1, last - first)
    if len(file_rows):
        bounds = np.concatenate([[0], file_rows, [len(row_of)]]) - first
        file = np.searchsorted(bounds[1:-1], rows, side="right")
        begin, end = np.maximum(begin, bounds[file]), np.minimum(end, bounds[file + 1])
    logits = own_logits(surroundings, n_types)[rows]
    has_previous = begin < rows
    logits[has_previous] += surroundings[rows[has_previous] - 1, n_types : 2 * n_types]
    logits += _neighbour_mean(surroundings[:, 2 * n_types :].astype(np.float64), rows, begin, end)
    return logits


def _neighbour_mean(values: Doubles, rows: Rows, begin: Rows, end: Rows) -> Floats:
    """Return for each of `rows` the mean of the others from `begin` to `end`, or 0 if there are none."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=sums[1:])
    neighbours = sums[end] - sums[begin] - values[rows]
    return np.asarray(neighbours / np.maximum(end - begin - 1, 1)[:, None], np.float32)
