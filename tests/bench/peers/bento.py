"""The BentoML peer: adaptive batching over lists of texts.

bentoml serve tests.bench.peers.bento:TextClassifier
"""

import os

import bentoml

from tests.bench.peers.classifier import from_environment


@bentoml.service(
    workers=int(os.environ["WORKERS"]),
    traffic={"timeout": 600, "max_concurrency": 256},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class TextClassifier:
    """One classifier per worker."""

    def __init__(self):
        self._classify = from_environment()

    @bentoml.api(batchable=True, max_batch_size=int(os.environ["TEXTS"]), max_latency_ms=60_000)
    def classify(self, texts: list[str]) -> list[dict[str, float]]:
        """Return {risk type: score} of each text."""
        return self._classify(texts)
