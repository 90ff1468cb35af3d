"""What the sentences around a sentence say of it: added to its logits, sentence by sentence of a document.

A network with influence gives each sentence three groups of outputs: its own logits, what it says of the
sentence after it, and what it says of those near it. So a sentence is read once, whatever stands around
it, and one without neighbours keeps its own logits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from service.nlp.row_blocks import row_blocks
from service.nlp.taxonomy import RISK_TYPES

RADIUS = 6
"""Sentences on either side that count as near."""
N_TYPES = len(RISK_TYPES)
N_INFLUENCE = 2 * N_TYPES
"""Outputs about others: of the next sentence, then of those near."""

Floats = npt.NDArray[np.float32]


def own_logits(outputs: Floats) -> Floats:
    """Return float32 (n, n_risk_types): the logits of sentences that have no neighbours."""
    return outputs[:, :N_TYPES]


def logits_in_document(outputs: Floats) -> Floats:
    """Return float32 (n, n_risk_types), a new array, for all n sentences of one document, in its order.

    `outputs` is float32 (n, n_risk_types), or (n, 3 * n_risk_types) from a network with influence.
    """
    n = len(outputs)
    total = own_logits(outputs).copy()
    if outputs.shape[1] == N_TYPES or n < 2:
        return total
    total[1:] += outputs[:-1, N_TYPES : 2 * N_TYPES]
    for rows in row_blocks(n):
        total[rows] += _mean_of_near(outputs[:, 2 * N_TYPES :], rows.start, rows.stop)
    return total


def _mean_of_near(values: Floats, begin: int, end: int) -> Floats:
    """Return, for rows `begin` to `end` of n > 1, the mean of up to RADIUS rows before and as many after."""
    first, last = max(begin - RADIUS, 0), min(end + RADIUS, len(values))
    seen = values[first:last].astype(np.float64)
    sums = np.zeros((len(seen) + 1, values.shape[1]))
    np.cumsum(seen, axis=0, out=sums[1:])
    place = np.arange(begin - first, end - first)
    before, after = np.maximum(place - RADIUS, 0), np.minimum(place + RADIUS + 1, len(seen))
    others = sums[after] - sums[before] - seen[place]
    return np.asarray(others / (after - before - 1)[:, None], np.float32)
