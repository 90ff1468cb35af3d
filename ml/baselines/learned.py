"""Base class of the learned baselines: calibration and operating points like the model's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from ml.corpus.dataset import Example, targets
from ml.evaluation.calibration import calibrate
from service.nlp.analyzers.base import SentenceScorer
from service.nlp.arrays import Floats, Scores
from service.nlp.artifacts.manifest import probabilities
from service.nlp.deadline import Deadline
from service.nlp.document import Source


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
        logits, sets = self.logits([e.text for e in examples]), [e.file for e in examples]
        y = targets(examples, self.taxonomy)
        fitted = calibrate(logits, y, sets, taxonomy=self.taxonomy)
        self._temperature, self._bias = fitted.temperature, fitted.bias
        self.operating_points = fitted.points

    def score_batch(self, sentences: Sequence[str], *, deadline: Deadline | None = None) -> Scores:
        if deadline is not None:
            deadline.check()
        logits = self.logits(sentences)
        return probabilities(logits, temperature=self._temperature, bias=self._bias)
