"""The baseline `tfidf`: word counts and logistic regressions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]  # no stubs
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # no stubs

from ml.baselines.learned import LearnedBaseline
from ml.corpus.dataset import Example, targets
from service.nlp.arrays import Floats
from service.nlp.taxonomy import Taxonomy

NEVER = -10.0
"""Logit of a type without a training sentence."""


class TfidfAnalyzer(LearnedBaseline):
    """TF-IDF of words and word pairs, with one logistic regression per risk type."""

    model_name = "tfidf"

    def __init__(self, examples: Sequence[Example], taxonomy: Taxonomy) -> None:
        """Train on `examples`: some seconds for twenty thousand.

        Sublinear counts; a weak penalty, C = 100, the best of 1, 10, 100 and 1000 on dev.
        """
        self.taxonomy = taxonomy
        self._words = TfidfVectorizer(
            ngram_range=(1, 2), min_df=2, sublinear_tf=True, strip_accents="unicode"
        )
        features = self._words.fit_transform([e.text for e in examples])
        y = targets(examples, taxonomy)
        self._classifiers = {
            int(k): LogisticRegression(C=100.0, solver="liblinear").fit(features, y[:, k])
            for k in np.flatnonzero(y.any(axis=0))
        }

    def logits(self, sentences: Sequence[str]) -> Floats:
        features = self._words.transform(sentences)
        logits = np.full((len(sentences), self._n_types), NEVER, np.float32)
        for k, classifier in self._classifiers.items():
            logits[:, k] = classifier.decision_function(features)
        return logits
