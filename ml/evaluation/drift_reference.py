"""The drift reference: histograms of sentences that the model never saw, stored beside the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ml.corpus.dataset import Example
from ml.evaluation.metrics import category_scores
from ml.evaluation.resampling import resampled_documents, sum_by_document
from service.nlp.arrays import Bools, Floats, Ints
from service.nlp.artifacts.drift_index import (
    LENGTH_EDGES,
    PIECE_EDGES,
    REFERENCE_VERSION,
    SCORE_EDGES,
    category_bins,
    psi,
)
from service.nlp.artifacts.operating_points import risk_scores
from service.nlp.taxonomy import Taxonomy

Counts = dict[str, list[int]]

_UNKNOWN = "[UNK]"


def reference(
    examples: Sequence[Example],
    scores: Floats,
    hits: Bools,
    *,
    taxonomy: Taxonomy,
    tokenizer: Tokenizer,
    learned: Sequence[str],
) -> dict[str, Any]:
    """Return the histograms of `examples`, which the model never saw; no text.

    The model is more confident on its training sentences: a reference of those would make any new document
    look drifted. `scores` is float32 (n, n_risk_types), `hits` bool of that shape: the balanced decisions.
    `learned` are the training sentences; word pieces are binned by their frequency in them.

    `sentences` counts all sentences, `findings` those that state a risk. `noise` is the mean index
    between these histograms and those of resampled documents.
    """
    pieces = Pieces.from_texts(tokenizer, learned)
    texts, docs = [e.text for e in examples], [e.doc for e in examples]
    kinds = histogram_rows(texts, scores, hits, pieces, taxonomy=taxonomy)
    return {
        "reference_version": REFERENCE_VERSION,
        "n_sentences": len(texts),
        "n_documents": len(set(docs)),
        "n_learned": len(learned),
        "piece_bins": pieces.bins,
        "unknown_share": pieces.unknown_share(texts),
        **{kind: sum_rows(rows) for kind, rows in kinds.items()},
        "noise": {
            kind: {name: noise(rows, docs) for name, rows in histograms.items()}
            for kind, histograms in kinds.items()
        },
    }


def noise(rows: Ints, docs: Sequence[str]) -> float:
    """Return the mean index between the histogram of `rows` and those of resampled documents.

    `rows` is (n, n_bins), `docs` n names. Never less than the index of independently drawn sentences.
    """
    whole = rows.sum(axis=0)
    if not whole.any():
        return 0.0
    drawn = resampled_documents(docs) @ sum_by_document(rows.astype(np.float64), docs)
    by_document = float(np.mean([psi(whole, one) for one in drawn if one.any()]))
    return max(by_document, float((np.count_nonzero(whole) - 1) / whole.sum()))


class Pieces:
    """Word pieces binned by their frequency in the training sentences; `bins` has one digit per token id."""

    def __init__(self, tokenizer: Tokenizer, bins: str) -> None:
        self.bins = bins
        self._tokenizer = tokenizer
        self._bin_by_id = np.frombuffer(bins.encode("ascii"), np.uint8) - ord("0")

    @classmethod
    def from_texts(cls, tokenizer: Tokenizer, texts: Sequence[str]) -> Pieces:
        """Bin the tokenizer's word pieces by their frequency in `texts`."""
        ids = [k for encoded in _encoded(tokenizer, texts) for k in encoded]
        times = np.bincount(np.array(ids, np.int64), minlength=tokenizer.get_vocab_size())
        return cls(tokenizer, "".join(str(b) for b in np.searchsorted(PIECE_EDGES, times, "right")))

    def counts(self, texts: Sequence[str]) -> Ints:
        """Count each text's pieces by bin, (len(texts), n_bins); the first bin holds pieces never seen."""
        n_bins = len(PIECE_EDGES) + 1
        counts = [
            np.bincount(self._bin_by_id[ids], minlength=n_bins)
            for ids in _encoded(self._tokenizer, texts)
        ]
        return np.array(counts, np.int64).reshape(-1, n_bins)

    def unknown_share(self, texts: Sequence[str]) -> float:
        """Return the share of pieces that the tokenizer maps to its unknown token."""
        unknown = self._tokenizer.token_to_id(_UNKNOWN)
        ids = [k for encoding in _encoded(self._tokenizer, texts) for k in encoding]
        return sum(k == unknown for k in ids) / max(len(ids), 1)


def histogram_rows(
    texts: Sequence[str], scores: Floats, hits: Bools, pieces: Pieces, *, taxonomy: Taxonomy
) -> dict[str, dict[str, Ints]]:
    """Return each sentence's counts in each histogram, (n, n_bins), by `sentences` and `findings`."""
    stated = hits.any(axis=1, keepdims=True)
    category = _one_hot(_categories(hits, scores, taxonomy), len(category_bins(taxonomy)))
    lengths = _binned([len(text.split()) for text in texts], LENGTH_EDGES)
    piece_counts = pieces.counts(texts)
    hit_scores = np.zeros((len(texts), len(SCORE_EDGES) + 1), np.int64)
    np.add.at(hit_scores, np.nonzero(hits)[0], _binned(scores[hits], SCORE_EDGES))
    return {
        "sentences": {
            "risk_score": _binned(risk_scores(scores), SCORE_EDGES),
            "category": category,
            "length": lengths,
            "pieces": piece_counts,
        },
        "findings": {
            "score": hit_scores,
            "category": category,
            "length": lengths * stated,
            "pieces": piece_counts * stated,
        },
    }


def sum_rows(rows: Mapping[str, Ints]) -> Counts:
    """Return the histograms of all sentences together."""
    return {name: [int(n) for n in counts.sum(axis=0)] for name, counts in rows.items()}


def _categories(hits: Bools, scores: Floats, taxonomy: Taxonomy) -> Ints:
    """Return the index of each sentence's most likely category; the last is `none`."""
    best = category_scores(np.where(hits, scores, 0).astype(np.float32), taxonomy=taxonomy).argmax(
        axis=1
    )
    return np.where(hits.any(axis=1), best, len(category_bins(taxonomy)) - 1)


def _binned(values: Sequence[float] | Floats, edges: Sequence[float]) -> Ints:
    """Return (n, n_bins) with a 1 in the bin of each value."""
    bins = np.searchsorted(np.asarray(edges, np.float64), np.asarray(values, np.float64), "right")
    return _one_hot(bins, len(edges) + 1)


def _one_hot(index: Ints, n: int) -> Ints:
    return np.eye(n, dtype=np.int64)[index]


def _encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[list[int]]:
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        yield encoding.ids
