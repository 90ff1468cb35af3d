"""LocalAnalyzer: the transformer that runs inside this process."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from service.config.cpus import all_cpus
from service.errors import ArtifactError
from service.nlp.analyzers.base import Progress, SentenceScorer, distinct_rows
from service.nlp.arrays import NO_ROWS, Floats, Rows, Scores, row_blocks
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import Artifact
from service.nlp.artifacts.operating_points import Sensitivity
from service.nlp.artifacts.registry import manifest_sha256
from service.nlp.deadline import Deadline
from service.nlp.document import Source
from service.nlp.inference.engine import Engine
from service.nlp.inference.engine_factory import open_engine
from service.nlp.inference.neighbour_context import block_logits, own_logits
from service.nlp.inference.scheduler import InferenceScheduler
from service.nlp.inference.score_cache import ScoreCache
from service.nlp.inference.sentence_vectors import sentence_vectors
from service.nlp.inference.tokenization import Windower
from service.nlp.observer import NULL_OBSERVER, Observer


class LocalEncoder:
    """The encoder of the network that scores sentences; see SentenceEncoder. Thread-safe."""

    def __init__(self, artifact: Artifact, engine: Engine, windower: Windower) -> None:
        self.model = manifest_sha256(artifact.path)
        self.size = engine.vector_size
        self._engine = engine
        self._windower = windower

    def vectors(self, sentences: Sequence[str]) -> Floats:
        return sentence_vectors(self._engine, self._windower, sentences)


class LocalAnalyzer(SentenceScorer):
    """Scores sentences with the model of one artifact; thread-safe."""

    source: ClassVar[Source] = "model"
    languages: ClassVar[frozenset[str] | None] = frozenset({"en"})
    batch_size: ClassVar[int] = 1_024  # large, since the inference threads idle between batches

    def __init__(
        self,
        artifact: Artifact,
        engine: Engine,
        *,
        cache_sentences: int = 0,
        early_exit: bool = True,
        observer: Observer = NULL_OBSERVER,
    ) -> None:
        """Build an analyzer without checking the golden scores, which `open` does."""
        self._observer = observer
        self._cache = ScoreCache(cache_sentences)
        self._manifest = artifact.manifest
        self.taxonomy = artifact.taxonomy
        _check_width(artifact, engine)
        self.model_name = self._manifest.name
        self.model_version = self._manifest.version
        self.operating_points = self._manifest.operating_points
        exit_ = self._manifest.early_exit if early_exit and engine.has_exit else None
        self._leave_below: Mapping[Sensitivity, float] = exit_.leave_below if exit_ else {}
        self._scheduler = InferenceScheduler(
            engine,
            artifact.tokenizer(),
            n_types=self._n_types,
            max_length_tokens=self._manifest.max_length_tokens,
            observer=observer,
        )
        if engine.vector_size:
            self.encoder = LocalEncoder(artifact, engine, self._scheduler.windower)

    @classmethod
    def open(
        cls,
        model_dir: Path,
        *,
        device: str = "auto",
        n_threads: int = 0,
        cache_sentences: int = 0,
        early_exit: bool = True,
        observer: Observer = NULL_OBSERVER,
    ) -> LocalAnalyzer:
        """Load the artifact in `model_dir` and check that it reproduces its golden scores on this machine.

        `n_threads` of 0 uses the CPU quota. The outputs of the last `cache_sentences` sentences are cached.
        With `early_exit`, certainly harmless sentences leave a network that has an exit early.

        Raises:
            ArtifactError: the artifact is missing or altered, or its scores differ from the golden ones.
        """
        artifact = artifacts.load(model_dir)
        with all_cpus():  # a library may start threads of its own
            engine = open_engine(artifact, device=device, n_threads=n_threads)
        analyzer = cls(
            artifact,
            engine,
            cache_sentences=cache_sentences,
            early_exit=early_exit,
            observer=observer,
        )
        try:
            golden = analyzer.score([row.text for row in artifact.golden()])
            artifacts.check_golden(artifact, golden)
        except BaseException:
            analyzer.close()
            raise
        return analyzer

    def score_batch(self, sentences: Sequence[str], *, deadline: Deadline | None = None) -> Scores:
        outputs = self._outputs(sentences, deadline=deadline)
        return self._manifest.probabilities(own_logits(outputs, self._n_types))

    def document_scores(
        self,
        sentences: Sequence[str],
        *,
        file_rows: Rows = NO_ROWS,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Scores]:
        """Yield the scores in blocks; each sentence's neighbours in its file influence its scores."""
        return self._document_scores(
            sentences, -math.inf, file_rows=file_rows, deadline=deadline, progress=progress
        )

    def decisive_scores(
        self,
        sentences: Sequence[str],
        sensitivity: Sensitivity,
        *,
        file_rows: Rows = NO_ROWS,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Scores]:
        """Yield the scores in blocks, those of sentences that left the network early as 0."""
        leave_below = self._leave_below.get(sensitivity, -math.inf)
        return self._document_scores(
            sentences, leave_below, file_rows=file_rows, deadline=deadline, progress=progress
        )

    def _document_scores(
        self,
        sentences: Sequence[str],
        leave_below: float,
        *,
        file_rows: Rows,
        deadline: Deadline | None,
        progress: Progress | None,
    ) -> Iterator[Scores]:
        outputs, row_of = distinct_rows(
            sentences,
            partial(self._outputs, leave_below=leave_below),
            self.batch_size,
            width=self._n_types,
            deadline=deadline,
            progress=progress,
        )
        for block in row_blocks(len(sentences)):
            logits = block_logits(
                outputs, row_of, block, n_types=self._n_types, file_rows=file_rows
            )
            yield self._manifest.probabilities(logits)

    def variant_scores(
        self,
        sentences: Sequence[str],
        at: int,
        variants: Sequence[str],
        *,
        file_rows: Rows = NO_ROWS,
        deadline: Deadline | None = None,
    ) -> Scores:
        """Score all variants in one pass; they are not cached, since nobody asks for them twice."""
        texts = [*sentences, *variants]
        outputs = self._scheduler.outputs(texts, deadline=deadline)
        row_of, here = np.arange(len(sentences)), slice(at, at + 1)
        logits = [np.zeros((0, self._n_types), np.float32)]
        for k in range(len(sentences), len(texts)):
            row_of[at] = k
            logits.append(
                block_logits(outputs, row_of, here, n_types=self._n_types, file_rows=file_rows)
            )
        scores = self._manifest.probabilities(np.concatenate(logits))
        self._check(scores)
        return scores

    def _outputs(
        self,
        sentences: Sequence[str],
        *,
        deadline: Deadline | None,
        leave_below: float = -math.inf,
    ) -> Floats:
        """Return the network's outputs, float32 (len(sentences), n_outputs), cached where possible."""
        rows = self._cache.get(sentences, leave_below)
        missing = [k for k, row in enumerate(rows) if row is None]
        self._observer.cached(len(rows) - len(missing), len(missing))
        texts = [sentences[k] for k in missing]
        outputs = self._scheduler.outputs(texts, deadline=deadline, leave_below=leave_below)
        self._cache.put(texts, outputs, leave_below)
        if len(missing) == len(sentences):
            return outputs
        for k, row in zip(missing, outputs, strict=True):
            rows[k] = row
        return np.array(rows, np.float32)

    def is_ready(self) -> bool:
        return self._scheduler.is_alive()

    def close(self) -> None:
        self._scheduler.close()


def _check_width(artifact: Artifact, engine: Engine) -> None:
    """Refuse a network whose outputs are not one, or one and two of influence, for each risk type."""
    n_types = len(artifact.taxonomy.risk_types)
    if engine.n_outputs not in {n_types, 3 * n_types}:
        raise ArtifactError(
            f"The network in {artifact.path} has {engine.n_outputs} outputs, which does not fit "
            f"{n_types} risk types. Export it again with `.venv-test/bin/python -m ml export`."
        )
