"""How far the findings of late are from those that the serving model was calibrated on.

Counted while scans go on: counts of score, category and length; no text is kept. `python -m ml drift` also
compares word pieces, for which it needs the tokenizer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from service.domain.deployments.shadow import model_of
from service.errors import ArtifactError, NotFound
from service.nlp.artifacts import drift_index
from service.nlp.artifacts.drift_index import REFERENCE_FILE, ObservedFinding, Reference, Shift
from service.nlp.artifacts.registry import Registry
from service.nlp.pipeline import ScanResult

# A reference of 700 sentences says nothing of fewer than about as many; more than some thousands
# would hide that something changed this week.
WINDOW_SENTENCES = 5_000

Counts = npt.NDArray[np.int64]
_log = logging.getLogger(__name__)


class DriftWatch:
    """Compares the last 5,000 to 10,000 sentences with the reference of the model that scored them."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._model = ""
        self._recent, self._before = _Window(), _Window()
        self._reference: tuple[str, Reference | None] = ("", None)
        self._changed = threading.Lock()

    def observe(self, result: ScanResult) -> None:
        """Count a scan; one at another sensitivity than the reference's, or elsewhere, says nothing."""
        analysis = result.analysis
        if analysis.source != "model" or not analysis.model_version:
            return
        if result.sensitivity != "balanced":
            return
        found = [
            ObservedFinding(f.start, f.category, f.score, f.context)
            for f in analysis.findings
            if f.start is not None and f.category is not None
        ]
        n_sentences = len(result.document.sentences)
        counts = drift_index.finding_counts(found, n_sentences)
        with self._changed:
            if model_of(analysis) != self._model:
                self._model = model_of(analysis)
                self._recent, self._before = _Window(), _Window()
            self._recent.add(counts, n_sentences)
            if self._recent.n_sentences >= WINDOW_SENTENCES:
                self._recent, self._before = _Window(), self._recent

    def shifts(self) -> dict[str, Shift]:
        """Return the shift of each histogram; {} before the first scan, or without a reference."""
        with self._changed:
            model = self._model
            observed = {
                name: [int(n) for n in recent + self._before.counts[name]]
                for name, recent in self._recent.counts.items()
            }
        reference = self._reference_of(model) if model else None
        if reference is None:
            return {}
        return drift_index.shifts(reference.findings, observed, noise=reference.noise.findings)

    def _reference_of(self, model: str) -> Reference | None:
        """Read the reference of a model, once while it stays the same; None where there is none."""
        read_of, reference = self._reference
        if read_of == model:
            return reference
        try:
            reference = drift_index.read_reference(self._registry.folder(model) / REFERENCE_FILE)
        except (NotFound, ArtifactError) as error:
            reference = None
            _log.warning("drift is not watched: %s", error.message)
        self._reference = (model, reference)
        return reference


class _Window:
    """Counts of so many sentences, by histogram."""

    def __init__(self) -> None:
        self.n_sentences = 0
        self.counts = _arrays(drift_index.finding_counts([], 0))

    def add(self, counts: Mapping[str, list[int]], n_sentences: int) -> None:
        self.n_sentences += n_sentences
        for name, found in _arrays(counts).items():
            self.counts[name] += found


def _arrays(counts: Mapping[str, list[int]]) -> dict[str, Counts]:
    return {name: np.array(found, np.int64) for name, found in counts.items()}
