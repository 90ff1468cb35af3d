"""The baselines, each an Analyzer like the model: `tfidf`, `knn` and `keywords`.

`tfidf` and `knn` learn from the training split and are calibrated like the model; `keywords` are handwritten
rules.
"""

from __future__ import annotations

import re
import tomllib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]  # no stubs
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # no stubs

from ml.baselines.nearest_neighbours import Embedder, NearestNeighbours
from ml.corpus.dataset import Dataset, Example, load_dataset, targets, without_overlap
from ml.evaluation.calibration import calibrate
from ml.settings import Settings
from service.nlp.analyzers.base import SentenceScorer
from service.nlp.arrays import Floats, Scores
from service.nlp.artifacts.manifest import probabilities
from service.nlp.artifacts.operating_points import SENSITIVITIES, OperatingPoint
from service.nlp.deadline import Deadline
from service.nlp.document import Source
from service.nlp.taxonomy import RISK_TYPES

NEVER = -10.0
"""Logit of a type without a training sentence."""
_KEYWORDS = Path(__file__).parent / "keywords.toml"


class LearnedBaseline(SentenceScorer):
    """A scorer whose logits and operating points are calibrated like the model's."""

    source: ClassVar[Source] = "model"
    model_version = ""
    _temperature, _bias = 1.0, 0.0

    @abstractmethod
    def logits(self, sentences: Sequence[str]) -> Floats:
        """Return float32 (len(sentences), n_risk_types), before temperature and bias."""

    def calibrate(self, examples: Sequence[Example]) -> None:
        """Fit temperature, bias and operating points on these sentences."""
        fitted = calibrate(self.logits([e.text for e in examples]), targets(examples))
        self._temperature, self._bias = fitted.temperature, fitted.bias
        self.operating_points = fitted.points

    def score_batch(self, sentences: Sequence[str], *, deadline: Deadline | None = None) -> Scores:
        if deadline is not None:
            deadline.check()
        logits = self.logits(sentences)
        return probabilities(logits, temperature=self._temperature, bias=self._bias)


class TfidfAnalyzer(LearnedBaseline):
    """TF-IDF of words and word pairs, with one logistic regression per risk type."""

    model_name = "tfidf"

    def __init__(self, examples: Sequence[Example]) -> None:
        """Train on `examples`: some seconds for twenty thousand.

        Sublinear counts; a weak penalty, C = 100, the best of 1, 10, 100 and 1000 on dev.
        """
        self._words = TfidfVectorizer(
            ngram_range=(1, 2), min_df=2, sublinear_tf=True, strip_accents="unicode"
        )
        features = self._words.fit_transform([e.text for e in examples])
        y = targets(examples)
        self._classifiers = {
            int(k): LogisticRegression(C=100.0, solver="liblinear").fit(features, y[:, k])
            for k in np.flatnonzero(y.any(axis=0))
        }

    def logits(self, sentences: Sequence[str]) -> Floats:
        features = self._words.transform(sentences)
        logits = np.full((len(sentences), len(RISK_TYPES)), NEVER, np.float32)
        for k, classifier in self._classifiers.items():
            logits[:, k] = classifier.decision_function(features)
        return logits


class NeighbourAnalyzer(LearnedBaseline):
    """The types of the nearest training sentences, in the space of the encoder before fine-tuning."""

    model_name = "knn"

    def __init__(self, examples: Sequence[Example], embedder: Embedder) -> None:
        """Embed `examples` and choose k."""
        self._embed = embedder.embed
        self._neighbours = NearestNeighbours(
            embedder.embed([e.text for e in examples]),
            targets(examples),
            [e.doc for e in examples],
        )

    def logits(self, sentences: Sequence[str]) -> Floats:
        return self._neighbours.logits(self._embed(sentences))


class KeywordAnalyzer(SentenceScorer):
    """Keyword rules: a sentence states the types whose patterns it matches; no probabilities."""

    source: ClassVar[Source] = "model"
    has_probabilities: ClassVar[bool] = False
    model_name = "keywords"
    model_version = ""

    def __init__(self, patterns: Mapping[str, Sequence[str]]) -> None:
        """Take regular expressions by risk type; case does not matter."""
        self._patterns = [re.compile("|".join(patterns[r]), re.IGNORECASE) for r in RISK_TYPES]
        yes_or_no = OperatingPoint(0.5, np.full(len(RISK_TYPES), 0.5, np.float32))
        self.operating_points = dict.fromkeys(SENSITIVITIES, yes_or_no)

    @classmethod
    def shipped(cls) -> KeywordAnalyzer:
        """Return the analyzer of ml/baselines/keywords.toml."""
        return cls(tomllib.loads(_KEYWORDS.read_text(encoding="utf-8")))

    def score_batch(self, sentences: Sequence[str], *, deadline: Deadline | None = None) -> Scores:
        if deadline is not None:
            deadline.check()
        matches = [[p.search(text) is not None for p in self._patterns] for text in sentences]
        return np.array(matches, np.float32).reshape(-1, len(RISK_TYPES))


def _tfidf(train: Sequence[Example], settings: Settings) -> LearnedBaseline:  # noqa: ARG001 - as _knn
    return TfidfAnalyzer(train)


def _knn(train: Sequence[Example], settings: Settings) -> LearnedBaseline:
    return NeighbourAnalyzer(train, Embedder(settings))


_LEARNED: dict[str, Callable[[Sequence[Example], Settings], LearnedBaseline]] = {
    "tfidf": _tfidf,
    "knn": _knn,
}
BASELINES = (*_LEARNED, "keywords")


def open_baseline(
    name: str,
    settings: Settings,
    *,
    dataset: Dataset | None = None,
    unseen: Sequence[Example] = (),
) -> SentenceScorer:
    """Return one of BASELINES, trained and calibrated on the splits that `settings` name.

    `dataset` has them if they were read before. Training leaves out the overlap with `unseen`, its documents
    included.

    Raises:
        DatasetError: a file of sentences is missing.
    """
    if name not in _LEARNED:
        return KeywordAnalyzer.shipped()
    dataset = dataset or load_dataset(settings.data)
    train = without_overlap(dataset.train, unseen)[0] if unseen else dataset.train
    baseline = _LEARNED[name](train, settings)
    baseline.calibrate(dataset.dev)
    return baseline
