"""What the sentences around a sentence say of it: added to its logits, sentence by sentence of a document.

A network with influence gives each sentence three groups of outputs: its own logits, what it says of the
sentence after it, and what it says of those near it. So a sentence is read once, whatever stands around
it, and one without neighbours keeps its own logits.
"""

from __future__ import annotations

import numpy as np

from service.nlp.arrays import Doubles, Floats, Rows, row_blocks
from service.nlp.taxonomy import RISK_TYPES

RADIUS = 6
"""Sentences on either side that count as near."""
N_TYPES = len(RISK_TYPES)


def own_logits(outputs: Floats) -> Floats:
    """Return float32 (n, n_risk_types): the logits of sentences that have no neighbours."""
    return outputs[:, :N_TYPES]


def logits_in_document(outputs: Floats) -> Floats:
    """Return float32 (n, n_risk_types), a new array, for all n sentences of one document, in its order.

    `outputs` is float32 (n, n_risk_types), or (n, 3 * n_risk_types) from a network with influence.
    """
    n = len(outputs)
    total = np.empty((n, N_TYPES), np.float32)
    row_of = np.arange(n)
    for block in row_blocks(n):
        total[block] = logits_of_block(outputs, row_of, block)
    return total


def logits_of_block(outputs: Floats, row_of: Rows, block: slice) -> Floats:
    """Return float32 (n_rows, n_risk_types) for the sentences `block` of one document.

    `outputs` is as in `logits_in_document`, with one row for each distinct sentence. `row_of`, ints (n,),
    maps each sentence of the document to its row.
    """
    begin, end = block.start, block.stop
    first, last = max(begin - RADIUS, 0), min(end + RADIUS, len(row_of))
    seen = outputs[row_of[first:last]]
    place = np.arange(begin - first, end - first)
    total = own_logits(seen)[place]
    if outputs.shape[1] == N_TYPES or len(row_of) < 2:
        return total
    has_one_before = place > 0
    total[has_one_before] += seen[place[has_one_before] - 1, N_TYPES : 2 * N_TYPES]
    total += _mean_of_near(seen[:, 2 * N_TYPES :].astype(np.float64), place)
    return total


def _mean_of_near(values: Doubles, place: Rows) -> Floats:
    """Return, for the rows `place`, the mean of up to RADIUS rows before and as many after."""
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=sums[1:])
    before, after = np.maximum(place - RADIUS, 0), np.minimum(place + RADIUS + 1, len(values))
    others = sums[after] - sums[before] - values[place]
    return np.asarray(others / (after - before - 1)[:, None], np.float32)
