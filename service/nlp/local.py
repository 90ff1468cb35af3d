"""LocalAnalyzer: the transformer in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from service.nlp import artifact as artifacts
from service.nlp.analyzer import (
    Deadline,
    Document,
    Progress,
    Scores,
    SentenceScorer,
    Source,
)
from service.nlp.artifact import Artifact
from service.nlp.batching import TOKENS_PER_PASS, InferenceThread
from service.nlp.engines import Device, Engine, make_engine
from service.nlp.neighbours import logits_in_document, own_logits

# 2 MB of different sentences take 60 s of two cores (400 sentences/s, November 2026). Ten times that
# leaves room for eight such documents at once, and for scripts in which a character is a token; an
# engine that hangs is noticed all the same.
ALLOWED_S_PER_CHAR = 0.000_3


class LocalAnalyzer(SentenceScorer):
    """Scores sentences with the model of one artifact; one instance serves all threads."""

    source: ClassVar[Source] = "model"

    def __init__(self, artifact: Artifact, engine: Engine) -> None:
        """Start the inference thread; `open` also proves the golden sentences."""
        self._manifest = artifact.manifest
        self.model_name = self._manifest.name
        self.model_version = self._manifest.version
        self.operating_points = self._manifest.operating_points
        self._inference = InferenceThread(
            engine,
            artifact.tokenizer(),
            max_length_tokens=self._manifest.max_length_tokens,
            tokens_per_pass=TOKENS_PER_PASS[engine.device],
        )

    @classmethod
    def open(cls, model_dir: Path, *, device: Device = "auto", n_threads: int = 0) -> LocalAnalyzer:
        """Load the artifact in `model_dir` and prove that it gives its golden scores here.

        `n_threads` of 0 takes the CPU quota.

        Raises:
            ArtifactError: the artifact is missing, was altered, or gives other scores.
        """
        artifact = artifacts.load(model_dir)
        analyzer = cls(artifact, make_engine(artifact, device=device, n_threads=n_threads))
        try:
            golden = analyzer.score([row.text for row in artifact.golden()])
            artifacts.check_golden(artifact, golden)
        except BaseException:
            analyzer.close()
            raise
        return analyzer

    def score_batch(self, sentences: Sequence[str], *, deadline: Deadline | None = None) -> Scores:
        outputs = self._inference.outputs(sentences, deadline=deadline)
        return self._manifest.probabilities(own_logits(outputs))

    def score_document(
        self,
        sentences: Sequence[str],
        *,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> Scores:
        outputs = self._of_different(
            sentences, self._inference.outputs, deadline=deadline, progress=progress
        )
        scores = self._manifest.probabilities(logits_in_document(outputs))
        return self._checked(scores, len(sentences))

    def time_allowed_s(self, document: Document, timeout_s: float) -> float:
        return timeout_s + ALLOWED_S_PER_CHAR * len(document.text)

    def is_ready(self) -> bool:
        return self._inference.is_alive()

    def close(self) -> None:
        self._inference.close()
