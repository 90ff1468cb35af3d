"""LocalAnalyzer: the transformer in this process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from service.nlp.analyzers.base import Progress, SentenceScorer
from service.nlp.arrays import Scores, row_blocks
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.deadline import Deadline
from service.nlp.document import Source
from service.nlp.inference.engine import Engine
from service.nlp.inference.engine_factory import open_engine
from service.nlp.inference.neighbour_context import logits_of_block, own_logits
from service.nlp.inference.scheduler import InferenceScheduler
from service.nlp.inference.score_cache import SentenceCache
from service.nlp.observer import NOBODY, Observer


class LocalAnalyzer(SentenceScorer):
    """Scores sentences with the model of one artifact; one instance serves all threads."""

    source: ClassVar[Source] = "model"
    languages: ClassVar[frozenset[str] | None] = frozenset({"en"})
    batch_size: ClassVar[int] = 1_024  # many: the inference threads idle between two batches

    def __init__(
        self,
        artifact: Artifact,
        engine: Engine,
        *,
        cache_sentences: int = 0,
        observer: Observer = NOBODY,
    ) -> None:
        """Start the inference threads; `open` also proves the golden sentences."""
        self._observer = observer
        self._cache = SentenceCache(cache_sentences)
        self._manifest = artifact.manifest
        self.model_name = self._manifest.name
        self.model_version = self._manifest.version
        self.operating_points = self._manifest.operating_points
        self._inference = InferenceScheduler(
            engine,
            artifact.tokenizer(),
            max_length_tokens=self._manifest.max_length_tokens,
            observer=observer,
        )

    @classmethod
    def open(
        cls,
        model_dir: Path,
        *,
        device: str = "auto",
        n_threads: int = 0,
        cache_sentences: int = 0,
        observer: Observer = NOBODY,
    ) -> LocalAnalyzer:
        """Load the artifact in `model_dir` and prove that it gives its golden scores here.

        `n_threads` of 0 takes the CPU quota; `cache_sentences` are remembered with what the model said.

        Raises:
            ArtifactError: the artifact is missing, was altered, or gives other scores.
        """
        artifact = artifacts.load(model_dir)
        engine = open_engine(artifact, device=device, n_threads=n_threads)
        analyzer = cls(artifact, engine, cache_sentences=cache_sentences, observer=observer)
        try:
            golden = analyzer.score([row.text for row in artifact.golden()])
            artifacts.check_golden(artifact, golden)
        except BaseException:
            analyzer.close()
            raise
        return analyzer

    def score_batch(self, sentences: Sequence[str], *, deadline: Deadline | None = None) -> Scores:
        outputs = self._outputs(sentences, deadline=deadline)
        return self._manifest.probabilities(own_logits(outputs))

    def document_scores(
        self,
        sentences: Sequence[str],
        *,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Scores]:
        outputs, row_of = self._of_different(
            sentences, self._outputs, deadline=deadline, progress=progress
        )
        for block in row_blocks(len(sentences)):
            scores = self._manifest.probabilities(logits_of_block(outputs, row_of, block))
            yield self._checked(scores, block.stop - block.start)

    def _outputs(self, sentences: Sequence[str], *, deadline: Deadline | None) -> Scores:
        """Return float32 (len(sentences), n_outputs), from memory or else from the network."""
        known = self._cache.known(sentences)
        new = [k for k, row in enumerate(known) if row is None]
        self._observer.cached(len(known) - len(new), len(new))
        texts = [sentences[k] for k in new]
        outputs = self._inference.outputs(texts, deadline=deadline)
        self._cache.remember(texts, outputs)
        if len(new) == len(sentences):
            return outputs
        for k, row in zip(new, outputs, strict=True):
            known[k] = row
        return np.array(known, np.float32)

    def is_ready(self) -> bool:
        return self._inference.is_alive()

    def close(self) -> None:
        self._inference.close()
