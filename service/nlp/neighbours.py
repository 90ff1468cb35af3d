"""What the sentences around a sentence say of it: added to its logits, sentence by sentence of a document.

A network with influence gives each sentence three groups of outputs: its own logits, what it says of the
sentence after it, and what it says of those near it. So a sentence is read once, whatever stands around
it, and one without neighbours keeps its own logits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

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
    """Return float32 (n, n_risk_types) for all n sentences of one document, in its order.

    `outputs` is float32 (n, n_risk_types), or (n, 3 * n_risk_types) from a network with influence.
    """
    own = own_logits(outputs)
    if outputs.shape[1] == N_TYPES or len(outputs) < 2:
        return own
    to_next, near = outputs[:, N_TYPES : 2 * N_TYPES], outputs[:, 2 * N_TYPES :]
    total = own + _mean_of_near(near)
    total[1:] += to_next[:-1]
    return total


def _mean_of_near(values: Floats) -> Floats:
    """Return, for each of n > 1 rows, the mean of up to RADIUS rows before it and as many after it."""
    n = len(values)
    sums = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    place = np.arange(n)
    first, end = np.maximum(place - RADIUS, 0), np.minimum(place + RADIUS + 1, n)
    others = sums[end] - sums[first] - values
    return np.asarray(others / (end - first - 1)[:, None], np.float32)
