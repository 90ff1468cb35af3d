"""What the transformer is measured against: TF-IDF and one logistic regression per risk type.

Same splits, same choice of temperature and threshold. Takes some seconds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]  # no stubs
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # no stubs

from ml.dataset import Dataset, targets

Floats = npt.NDArray[np.float32]

NEVER = -10.0
"""Logit of a type without a training sentence."""


def baseline_logits(dataset: Dataset) -> Floats:
    """Train on the train split; return float32 (n_dev, n_risk_types) logits of the dev split.

    Words and pairs of words, sublinear counts; a weak penalty (C = 100) since features are many and
    mostly absent, the best of 1, 10, 100 and 1000 by the same figure as the threshold.
    """
    words = TfidfVectorizer(
        ngram_range=(1, 2), min_df=2, sublinear_tf=True, strip_accents="unicode"
    )
    features = words.fit_transform([e.text for e in dataset.train])
    unseen = words.transform([e.text for e in dataset.dev])
    y = targets(dataset.train)
    logits = np.full((len(dataset.dev), y.shape[1]), NEVER, np.float32)
    for column in np.flatnonzero(y.any(axis=0)):
        classifier = LogisticRegression(C=100.0, solver="liblinear")
        logits[:, column] = classifier.fit(features, y[:, column]).decision_function(unseen)
    return logits
