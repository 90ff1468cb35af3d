"""Drift monitor: compares recent findings with the serving model's reference distribution.

It keeps counts of score, category and length, no text. `python -m ml drift` also compares word pieces, for
which it needs the tokenizer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from service.domain.deployments.shadow import model_name
from service.errors import ArtifactError, NotFound
from service.nlp.artifacts import drift_index
from service.nlp.artifacts.drift_index import REFERENCE_FILE, ObservedFinding, Reference, Shift
from service.nlp.artifacts.registry import Registry
from service.nlp.pipeline import ScanResult

# A reference of 700 sentences needs about as many for a comparison. A much larger window would hide a change
# of this week.
WINDOW_SENTENCES = 5_000

Counts = npt.NDArray[np.int64]
_log = logging.getLogger(__name__)


class DriftMonitor:
    """Compares the last 5,000 to 10,000 sentences with the reference of the model that scored them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._model = ""
        self._recent, self._earlier = _Window(), _Window()
        self._reference: tuple[str, Reference | None] = ("", None)
        self._lock = threading.Lock()

    def observe(self, result: ScanResult) -> None:
        """Count a scan by a model of the registry at balanced sensitivity; ignore all others."""
        analysis = result.analysis
        if analysis.source != "model" or not analysis.model_version:
            return
        if result.sensitivity != "balanced":
            return
        findings = [
            ObservedFinding(f.start, f.category, f.score, f.context)
            for f in analysis.findings
            if f.start is not None and f.category is not None
        ]
        n_sentences = len(result.document.sentences)
        counts = drift_index.finding_counts(findings, n_sentences, taxonomy=analysis.taxonomy)
        with self._lock:
            if model_name(analysis) != self._model:
                self._model = model_name(analysis)
                self._recent, self._earlier = _Window(), _Window()
            self._recent.add(counts, n_sentences)
            if self._recent.n_sentences >= WINDOW_SENTENCES:
                self._recent, self._earlier = _Window(), self._recent

    def shifts(self) -> dict[str, Shift]:
        """Return the shift of each histogram; {} before the first scan, or without a reference."""
        with self._lock:
            model = self._model
            observed = {
                name: [int(n) for n in recent + self._earlier.counts.get(name, 0)]
                for name, recent in self._recent.counts.items()
            }
        reference = self._cached_reference(model) if model else None
        if reference is None:
            return {}
        return drift_index.shifts(reference.findings, observed, noise=reference.noise.findings)

    def _cached_reference(self, model: str) -> Reference | None:
        """Return the reference of a model, or None; read it once while the model stays the same."""
        cached_model, reference = self._reference
        if cached_model == model:
            return reference
        try:
            reference = drift_index.read_reference(self._registry.folder(model) / REFERENCE_FILE)
        except (NotFound, ArtifactError) as error:
            reference = None
            _log.warning("drift is not watched: %s", error.message)
        self._reference = (model, reference)
        return reference


class _Window:
    """Counts by histogram, over `n_sentences`."""

    def __init__(self) -> None:
        self.n_sentences = 0
        self.counts: dict[str, Counts] = {}

    def add(self, counts: Mapping[str, list[int]], n_sentences: int) -> None:
        self.n_sentences += n_sentences
        for name, added in counts.items():
            self.counts[name] = np.array(added, np.int64) + self.counts.get(name, 0)
