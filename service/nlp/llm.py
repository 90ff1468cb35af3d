"""LLMAnalyzer: any server that speaks OpenAI's chat completions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from service.nlp.analyzer import Deadline, Scores, SentenceScorer, Source
from service.nlp.http_json import JsonClient
from service.nlp.llm_prompt import Pair, RequestMode, messages, read_answer, response_format
from service.nlp.taxonomy import RISK_TYPES

MAX_CHARS_PER_REQUEST = 6_000
MAX_ANSWER_TOKENS = 4_096  # 30 sentences with three risk types each need about 2,000
_COLUMN = {risk_type: column for column, risk_type in enumerate(RISK_TYPES)}


class LLMAnalyzer(SentenceScorer):
    """Asks an LLM which of numbered sentences state which risk type.

    The LLM answers with (sentence number, risk type) pairs, so it cannot invent a quotation; whatever
    else it answers is refused whole. It gives no probabilities: a score is 1 or 0.
    """

    source: ClassVar[Source] = "llm"
    batch_size: ClassVar[int] = 30
    has_probabilities: ClassVar[bool] = False
    sorts_by_length: ClassVar[bool] = False  # neighbours explain each other

    def __init__(
        self,
        base_url: str,
        *,
        model: str,
        api_key: str = "",
        request_mode: RequestMode = "json_schema",
        timeout_s: float = 60.0,
    ) -> None:
        """Ask `model` at `base_url` (such as http://localhost:8080/v1); connects at first use."""
        self.model_name = model
        self.model_version = ""
        self.thresholds = np.full(len(RISK_TYPES), 0.5, dtype=np.float32)
        self._mode = request_mode
        self._client = JsonClient(
            f"{base_url.rstrip('/')}/chat/completions",
            setting="LLM_BASE_URL",
            token=api_key,
            timeout_s=timeout_s,
        )

    def score_batch(self, sentences: Sequence[str], *, deadline: Deadline | None = None) -> Scores:
        scores = np.zeros((len(sentences), len(RISK_TYPES)), dtype=np.float32)
        for start, end in _requests(sentences):
            for number, risk_type in self._ask(sentences[start:end], deadline):
                scores[start + number - 1, _COLUMN[risk_type]] = 1.0
        return scores

    def close(self) -> None:
        self._client.close()

    def _ask(self, sentences: Sequence[str], deadline: Deadline | None) -> set[Pair]:
        request = {
            "model": self.model_name,
            "messages": messages(sentences),
            "temperature": 0,
            "max_tokens": MAX_ANSWER_TOKENS,
            **response_format(self._mode, len(sentences)),
        }
        completion = self._client.post(request, deadline=deadline)
        return read_answer(completion, n_sentences=len(sentences), mode=self._mode)


def _requests(sentences: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield half-open ranges of sentences, each of at most MAX_CHARS_PER_REQUEST or one sentence."""
    start = size = 0
    for i, sentence in enumerate(sentences):
        if i > start and size + len(sentence) > MAX_CHARS_PER_REQUEST:
            yield start, i
            start, size = i, 0
        size += len(sentence)
    if start < len(sentences):
        yield start, len(sentences)
