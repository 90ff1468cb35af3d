"""The baseline `keywords`: handwritten rules."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from service.errors import ConfigError
from service.nlp.analyzers.base import SentenceScorer
from service.nlp.arrays import Scores
from service.nlp.artifacts.operating_points import SENSITIVITIES, OperatingPoint
from service.nlp.deadline import Deadline
from service.nlp.document import Source
from service.nlp.taxonomy import Taxonomy

_KEYWORDS = Path(__file__).parent / "keywords.toml"


class KeywordAnalyzer(SentenceScorer):
    """Keyword rules: a sentence states the types whose patterns it matches; no probabilities."""

    source: ClassVar[Source] = "model"
    has_probabilities: ClassVar[bool] = False
    model_name = "keywords"
    model_version = ""

    def __init__(self, patterns: Mapping[str, Sequence[str]], taxonomy: Taxonomy) -> None:
        """Take regular expressions by risk type of `taxonomy`; case does not matter."""
        self.taxonomy = taxonomy
        self._patterns = [
            re.compile("|".join(patterns[r]), re.IGNORECASE) for r in taxonomy.risk_types
        ]
        yes_or_no = OperatingPoint(0.5, np.full(self._n_types, 0.5, np.float32))
        self.operating_points = dict.fromkeys(SENSITIVITIES, yes_or_no)

    @classmethod
    def shipped(cls, taxonomy: Taxonomy) -> KeywordAnalyzer:
        """Return the analyzer of ml/baselines/keywords.toml.

        Raises:
            ConfigError: the file lacks a risk type of `taxonomy`.
        """
        if not has_rules(taxonomy):
            raise ConfigError(
                f"{_KEYWORDS} has no rules for the risk types of this taxonomy; add them, or measure "
                "another baseline."
            )
        return cls(_rules(), taxonomy)

    def score_batch(self, sentences: Sequence[str], *, deadline: Deadline | None = None) -> Scores:
        if deadline is not None:
            deadline.check()
        matches = [[p.search(text) is not None for p in self._patterns] for text in sentences]
        return np.array(matches, np.float32).reshape(-1, self._n_types)


def has_rules(taxonomy: Taxonomy) -> bool:
    """Return whether ml/baselines/keywords.toml has rules for each risk type of `taxonomy`."""
    return _rules().keys() >= set(taxonomy.risk_types)


def _rules() -> dict[str, list[str]]:
    return tomllib.loads(_KEYWORDS.read_text(encoding="utf-8"))
