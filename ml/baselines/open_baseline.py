"""Open a baseline by its name: `tfidf`, `knn` or `keywords`, each an Analyzer like the model.

`tfidf` and `knn` learn from the training split and are calibrated like the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ml.baselines.keywords import KeywordAnalyzer
from ml.baselines.learned import LearnedBaseline
from ml.baselines.nearest_neighbours import Embedder, NeighbourAnalyzer
from ml.baselines.tfidf import TfidfAnalyzer
from ml.corpus.dataset import Dataset, Example, load_dataset, without_overlap
from ml.settings import Settings
from service.nlp.analyzers.base import SentenceScorer


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
