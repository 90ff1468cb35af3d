"""A network's outputs for single sentences, through either engine of the service."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.nlp.arrays import Floats
from service.nlp.artifacts.artifact import Artifact
from service.nlp.inference.engine import Engine


def sentence_outputs(artifact: Artifact, engine: Engine, texts: Sequence[str]) -> Floats:
    """Return float32 (len(texts), n_outputs); one sentence at a time, cut at the model's window.

    The service scores longer sentences in windows. One in a thousand of the calibration sentences is longer.
    """
    tokenizer, longest = artifact.tokenizer(), artifact.manifest.max_length_tokens
    rows = []
    for encoding in tokenizer.encode_batch(list(texts)):
        ids = encoding.ids
        if len(ids) > longest:
            ids = [*ids[: longest - 1], ids[-1]]
        tokens = np.array([ids], np.int64)
        rows.append(engine.outputs(tokens, np.ones_like(tokens))[0])
    return np.array(rows, np.float32).reshape(-1, engine.n_outputs)
