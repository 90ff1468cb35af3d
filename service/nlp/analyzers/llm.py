"""LLMAnalyzer: an LLM behind any server with OpenAI's chat completions API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from typing import Any, ClassVar

import numpy as np

from service.nlp.analyzers.base import Progress, SentenceScorer
from service.nlp.analyzers.http_client import JsonClient
from service.nlp.analyzers.llm_budget import UNLIMITED, LlmBudget
from service.nlp.analyzers.llm_prompt import (
    MAX_TYPES_PER_SENTENCE,
    Pair,
    RequestMode,
    estimated_tokens,
    messages,
    read_answer,
    response_format,
    used_tokens,
)
from service.nlp.analyzers.masking import mask
from service.nlp.arrays import Rows, Scores
from service.nlp.artifacts.operating_points import SENSITIVITIES, OperatingPoint
from service.nlp.deadline import Deadline
from service.nlp.document import Source
from service.nlp.observer import NULL_OBSERVER, Call, Observer, observe_call
from service.nlp.taxonomy import Taxonomy

MAX_SENTENCES_PER_REQUEST = 30
MAX_CHARS_PER_REQUEST = 6_000
# For one document. A small llama.cpp or vLLM server answers about four in parallel; more would wait there
# and delay other documents.
REQUESTS_AT_ONCE = 4
# A finding takes about 22 tokens. Without a limit, a small LLM under a grammar may list findings forever.
ANSWER_TOKENS_PER_SENTENCE = 25 * MAX_TYPES_PER_SENTENCE
ANSWER_TOKENS = 512  # also for words around the answer


class LLMAnalyzer(SentenceScorer):
    """Asks an LLM which of the numbered sentences state which risk type.

    The LLM answers with (sentence number, risk type) pairs, so it cannot invent a quotation. Any other answer
    is rejected as a whole. An LLM gives no probabilities: a score is 1 or 0.
    """

    source: ClassVar[Source] = "llm"
    batch_size: ClassVar[int] = 2 * REQUESTS_AT_ONCE * MAX_SENTENCES_PER_REQUEST
    has_probabilities: ClassVar[bool] = False

    def __init__(
        self,
        base_url: str,
        *,
        taxonomy: Taxonomy,
        model: str,
        api_key: str = "",
        request_mode: RequestMode = "json_schema",
        masks: bool = False,
        budget: LlmBudget = UNLIMITED,
        observer: Observer = NULL_OBSERVER,
    ) -> None:
        """Ask `model` at `base_url`, such as http://localhost:8080/v1, for the types of `taxonomy`.

        With `masks`, addresses and numbers of people are masked in what is sent. Connects at first use.
        """
        self._masks = masks
        self._budget = budget
        self.taxonomy = taxonomy
        self.model_name = model
        self.model_version = ""
        yes_or_no = OperatingPoint(0.5, np.full(self._n_types, 0.5, dtype=np.float32))
        self.operating_points = dict.fromkeys(SENSITIVITIES, yes_or_no)
        self.request_mode = request_mode
        self._observer = observer
        self._client = JsonClient(
            f"{base_url.rstrip('/')}/chat/completions",
            setting="LLM_BASE_URL",
            token=api_key,
            on_circuit=lambda is_open: observer.circuit_changed("llm", is_open),
        )

    def score_batch(self, sentences: Sequence[str], *, deadline: Deadline | None = None) -> Scores:
        scores = np.zeros((len(sentences), self._n_types), dtype=np.float32)
        if self._masks:
            sentences = [mask(sentence) for sentence in sentences]
        parts = list(_request_ranges(sentences))
        answers = self._post_all([sentences[start:end] for start, end in parts], deadline)
        for (start, _), pairs in zip(parts, answers, strict=True):
            for number, risk_type in pairs:
                scores[start + number - 1, self.taxonomy.columns[risk_type]] = 1.0
        return scores

    def close(self) -> None:
        self._client.close()

    def _distinct_scores(
        self, sentences: Sequence[str], *, deadline: Deadline | None, progress: Progress | None
    ) -> tuple[Scores, Rows]:
        """Score a document whose requests all fit into the budget of a day."""
        self._budget.check_document(self._estimate([*dict.fromkeys(sentences)]))
        return super()._distinct_scores(sentences, deadline=deadline, progress=progress)

    def _estimate(self, distinct: Sequence[str]) -> int:
        """Return the sum of what `score_batch` will reserve for a document's distinct sentences."""
        n_tokens = 0
        for begin in range(0, len(distinct), self.batch_size):
            batch = distinct[begin : begin + self.batch_size]
            sent = [mask(sentence) for sentence in batch] if self._masks else batch
            for start, end in _request_ranges(sent):
                asked = messages(sent[start:end], self.taxonomy)
                n_tokens += estimated_tokens(asked, n_sentences=end - start)
        return n_tokens

    def _post_all(
        self, parts: Sequence[Sequence[str]], deadline: Deadline | None
    ) -> list[set[Pair]]:
        """Send one request for each part, REQUESTS_AT_ONCE in parallel; the first error cancels the rest.

        The tokens of all are reserved before the first is sent.
        """
        requests = [self._request(part) for part in parts]
        estimates = [
            estimated_tokens(request["messages"], n_sentences=len(part))
            for request, part in zip(requests, parts, strict=True)
        ]
        used = [0] * len(parts)
        reserved = self._budget.reserve(sum(estimates))
        pool = ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="llm")

        def post(n: int) -> set[Pair]:
            used[n] = estimates[n]
            with observe_call(self._observer, "llm", self._client.host) as call:
                call.model, call.is_masked = self.model_name, self._masks
                call.n_sentences = len(parts[n])
                try:
                    return self._post(requests[n], len(parts[n]), deadline, call)
                finally:
                    used[n] = _used(call, estimates[n])

        try:
            # Each request runs in a copy of the caller's context, which names scan and request.
            futures = [pool.submit(copy_context().run, post, n) for n in range(len(parts))]
            for future in as_completed(futures):
                future.result()
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self._budget.settle(reserved, sum(used))

    def _request(self, sentences: Sequence[str]) -> dict[str, Any]:
        return {
            "model": self.model_name,
            "messages": messages(sentences, self.taxonomy),
            "temperature": 0,
            "max_tokens": ANSWER_TOKENS + ANSWER_TOKENS_PER_SENTENCE * len(sentences),
            **response_format(self.request_mode, len(sentences), self.taxonomy.risk_types),
        }

    def _post(
        self, request: dict[str, Any], n_sentences: int, deadline: Deadline | None, call: Call
    ) -> set[Pair]:
        completion = self._client.post(request, deadline=deadline, call=call)
        call.prompt_tokens, call.completion_tokens = used_tokens(completion)
        return read_answer(
            completion,
            n_sentences=n_sentences,
            risk_types=self.taxonomy.columns,
            mode=self.request_mode,
        )


def _used(call: Call, reserved: int) -> int:
    """Return the tokens of a call: as reported, else as reserved; none if the server did not answer."""
    if call.status is None:
        return 0
    if call.prompt_tokens is None and call.completion_tokens is None:
        return reserved
    return (call.prompt_tokens or 0) + (call.completion_tokens or 0)


def _request_ranges(sentences: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield half-open ranges of sentences that fit into one request; a longer sentence goes alone."""
    start = size = 0
    for i, sentence in enumerate(sentences):
        is_full = i - start == MAX_SENTENCES_PER_REQUEST
        if i > start and (is_full or size + len(sentence) > MAX_CHARS_PER_REQUEST):
            yield start, i
            start, size = i, 0
        size += len(sentence)
    if start < len(sentences):
        yield start, len(sentences)
