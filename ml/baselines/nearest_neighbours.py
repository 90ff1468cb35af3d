"""The baseline `knn`: nearest training sentences in the space of the encoder before fine-tuning."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ml.baselines.learned import LearnedBaseline
from ml.corpus.dataset import Example, targets
from ml.evaluation.metrics import average_precision
from ml.settings import Settings
from ml.training.base import base_network, base_tokenizer
from ml.training.batches import encode, has_bfloat16, pooled_vectors
from service.nlp.arrays import Floats
from service.nlp.taxonomy import Taxonomy

Halves = npt.NDArray[np.float16]

KS = (5, 10, 20)
_N_FOLDS = 5
_QUERIES_PER_FOLD = 1000
_QUERIES_AT_ONCE = 256
_SMOOTHING = 0.002
"""Keeps the logits finite; if larger, 37 unlikely types would add up to a likely risk."""


class Embedder:
    """Sentences to unit vectors: the mean over tokens of the base encoder's last layer."""

    def __init__(self, settings: Settings) -> None:
        """Load the encoder.

        Raises:
            ConfigError: the encoder is missing or not the one that [base] names.
        """
        self._settings = settings
        torch.set_num_threads(settings.train.n_threads)
        self._tokenizer = base_tokenizer(settings.base).tokenizer
        base = replace(settings.base, pooling="mean")
        self._model = base_network(base, n_labels=1, dropout=0.0)  # the head is not used
        self._cache = self._read()

    def embed(self, texts: Sequence[str]) -> Floats:
        """Return float32 (len(texts), hidden_size), each row of length 1.

        Cached in the run's folder as float16: a sentence is embedded once for all evaluations.
        """
        keys = [hashlib.sha256(text.encode()).digest() for text in texts]
        new = {k: text for k, text in zip(keys, texts, strict=True) if k not in self._cache}
        if new:
            vectors = self._encode_texts(list(new.values())).astype(np.float16)
            self._cache |= dict(zip(new, vectors, strict=True))
            self._write()
        return _unit(np.array([self._cache[k] for k in keys], np.float32))

    def _encode_texts(self, texts: Sequence[str]) -> Floats:
        ids = encode(self._tokenizer, texts, self._settings.train.max_length_tokens)
        # bfloat16 takes a third to a quarter of the time; vectors turn by less than 0.6 degrees.
        fast = self._settings.train.bfloat16 and has_bfloat16()
        return _unit(pooled_vectors(self._model, ids, bfloat16=fast).numpy())

    def _path(self) -> Path:
        base, train = self._settings.base, self._settings.train
        recipe = hashlib.sha256(f"{sorted(base.sha256.items())} {train.max_length_tokens}".encode())
        return self._settings.run_dir / f"embeddings-{recipe.hexdigest()[:16]}.npz"

    def _read(self) -> dict[bytes, Halves]:
        if not self._path().is_file():
            return {}
        with np.load(self._path(), allow_pickle=False) as file:
            return {k.tobytes(): v for k, v in zip(file["keys"], file["vectors"], strict=True)}

    def _write(self) -> None:
        self._path().parent.mkdir(parents=True, exist_ok=True)
        part = self._path().with_suffix(".part")
        keys = np.array([list(key) for key in self._cache], np.uint8)
        with part.open("wb") as file:
            np.savez(file, keys=keys, vectors=np.array(list(self._cache.values())))
        part.replace(self._path())


class NeighbourAnalyzer(LearnedBaseline):
    """The types of the nearest training sentences, in the space of the encoder before fine-tuning."""

    model_name = "knn"

    def __init__(self, examples: Sequence[Example], taxonomy: Taxonomy, embedder: Embedder) -> None:
        """Embed `examples` and choose k."""
        self.taxonomy = taxonomy
        self._embed = embedder.embed
        self._neighbours = NearestNeighbours(
            embedder.embed([e.text for e in examples]),
            targets(examples, taxonomy),
            [e.doc for e in examples],
        )

    def logits(self, sentences: Sequence[str]) -> Floats:
        return self._neighbours.logits(self._embed(sentences))


class NearestNeighbours:
    """Types of the k nearest sentences by cosine, weighted by it; k chosen on the sentences themselves."""

    def __init__(self, vectors: Floats, y: Floats, docs: Sequence[str]) -> None:
        """Keep unit `vectors` (n, d) and labels `y` (n, n_risk_types); choose k among KS."""
        self._vectors = vectors
        self._y = y
        self.k = choose_k(vectors, y, docs)

    def logits(self, queries: Floats) -> Floats:
        """Return float32 (n_queries, n_risk_types): the log odds of the weighted share of each type."""
        return _log_odds(votes(queries, self._vectors, self._y, (self.k,))[self.k])


def choose_k(vectors: Floats, y: Floats, docs: Sequence[str], *, seed: int = 0) -> int:
    """Return the k of the best average precision of types, each document judged by the others alone."""
    rng = np.random.default_rng(seed)
    names, index = np.unique(np.asarray(docs), return_inverse=True)
    fold = rng.permutation(len(names))[index] % _N_FOLDS
    true, shares_by_k = [], {k: [] for k in KS}  # type: ignore[var-annotated]  # lists of arrays
    for number in range(_N_FOLDS):
        inside = rng.permutation(np.flatnonzero(fold == number))[:_QUERIES_PER_FOLD]
        others = fold != number
        if not len(inside) or not others.any():
            continue
        shares = votes(vectors[inside], vectors[others], y[others], KS)
        true.append(y[inside] > 0)
        for k in KS:
            shares_by_k[k].append(shares[k])
    if not true:
        return KS[0]
    pairs = np.concatenate(true).ravel()
    return max(KS, key=lambda k: average_precision(np.concatenate(shares_by_k[k]).ravel(), pairs))


def votes(queries: Floats, vectors: Floats, y: Floats, ks: Sequence[int]) -> dict[int, Floats]:
    """Return, for each k, float32 (n_queries, n_risk_types) in [0, 1]: the share of each type's votes."""
    most = min(max(ks), len(vectors))
    shares_by_k: dict[int, list[Floats]] = {k: [] for k in ks}
    for begin in range(0, len(queries), _QUERIES_AT_ONCE):
        cosines = queries[begin : begin + _QUERIES_AT_ONCE] @ vectors.T
        near = np.argpartition(-cosines, most - 1, axis=1)[:, :most]
        near = np.take_along_axis(
            near, np.argsort(-np.take_along_axis(cosines, near, axis=1), axis=1), axis=1
        )
        weights = np.maximum(np.take_along_axis(cosines, near, axis=1), 1e-6)
        for k in ks:
            weighted = weights[:, :k, None] * y[near[:, :k]]
            shares_by_k[k].append(weighted.sum(axis=1) / weights[:, :k].sum(axis=1, keepdims=True))
    return {
        k: np.concatenate([*parts, np.empty((0, y.shape[1]), np.float32)])
        for k, parts in shares_by_k.items()
    }


def _log_odds(share: Floats) -> Floats:
    return np.asarray(np.log(share + _SMOOTHING) - np.log(1 - share + _SMOOTHING), np.float32)


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
