"""Open a baseline by its name: `tfidf`, `knn` or `keywords`, each an Analyzer like the model.

`tfidf` and `knn` learn from the training split and are calibrated like the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ml.baselines.keywords import KeywordAnalyzer
from ml.baselines.learned import LearnedBaseline
from ml.baselines.tfidf import TfidfAnalyzer
from ml.corpus.dataset import Dataset, Example, load_dataset, load_taxonomy, without_overlap
from ml.settings import Settings
from service.nlp.analyzers.base import SentenceScorer
from service.nlp.taxonomy import Taxonomy

_Learn = Callable[[Sequence[Example], Taxonomy, Settings], LearnedBaseline]


def _tfidf(train: Sequence[Example], taxonomy: Taxonomy, _settings: Settings) -> LearnedBaseline:
    return TfidfAnalyzer(train, taxonomy)


def _knn(train: Sequence[Example], taxonomy: Taxonomy, settings: Settings) -> LearnedBaseline:
    from ml.baselines.nearest_neighbours import Embedder, NeighbourAnalyzer  # noqa: PLC0415 - seconds to import

    return NeighbourAnalyzer(train, taxonomy, Embedder(settings))


_LEARNED: dict[str, _Learn] = {
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
        ConfigError: `keywords` has no rules for the taxonomy of `settings`.
    """
    if name not in _LEARNED:
        return KeywordAnalyzer.shipped(load_taxonomy(settings.data))
    dataset = dataset or load_dataset(settings.data)
    train = without_overlap(dataset.train, unseen)[0] if unseen else dataset.train
    baseline = _LEARNED[name](train, dataset.taxonomy, settings)
    baseline.calibrate(dataset.dev)
    return baseline
