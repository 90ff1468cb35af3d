"""The baseline `keywords`: handwritten rules."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from service.nlp.analyzers.base import SentenceScorer
from service.nlp.arrays import Scores
from service.nlp.artifacts.operating_points import SENSITIVITIES, OperatingPoint
from service.nlp.deadline import Deadline
from service.nlp.document import Source
from service.nlp.taxonomy import RISK_TYPES

_KEYWORDS = Path(__file__).parent / "keywords.toml"


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
