"""Drift monitor: compares recent findings of all processes with the serving model's reference distribution.

Each process counts score, category and length of its scans, no text, and stores the counts of the hour in a
row of its own. So no scan waits, and a restart or a replica more changes no window. `python -m ml drift` also
compares word pieces, for which it needs the tokenizer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import uuid_utils.compat
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db.queries import drift as queries
from db.tables import DriftCounts
from service.domain.deployments.shadow import model_name
from service.domain.transactions import Transactions
from service.errors import ArtifactError, NotFound, RiskscanError
from service.nlp.artifacts import drift_index
from service.nlp.artifacts.drift_index import REFERENCE_FILE, ObservedFinding, Reference, Shift
from service.nlp.artifacts.registry import Registry
from service.nlp.pipeline import ScanResult

EVERY_S = 10.0
"""Seconds between two runs of `refresh`."""
# A reference of 700 sentences needs about as many for a comparison. A much larger window would hide a change
# of this week.
WINDOW_SENTENCES = 5_000
KEPT = timedelta(days=30)

Counts = npt.NDArray[np.int64]
_log = logging.getLogger(__name__)


class DriftMonitor:
    """Compares the newest hours, at least 5,000 sentences, with the reference of the serving model."""

    def __init__(
        self,
        transactions: Transactions,
        registry: Registry,
        serving: Callable[[], str],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`serving` returns the name/version of the model that serves."""
        self._transactions = transactions
        self._registry = registry
        self._serving = serving
        self._clock = clock
        self._own: dict[tuple[str, datetime], _Hour] = {}
        """What this process has counted, by model and hour."""
        self._shifts: Mapping[str, Shift] = {}
        self._reference: tuple[str, Reference | None] = ("", None)
        self._lock = threading.Lock()  # guards _own
        self._storing = threading.Lock()  # so that no older counts overwrite newer ones

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
        hour = self._clock().replace(minute=0, second=0, microsecond=0)
        with self._lock:
            key = (model_name(analysis), hour)
            self._own.setdefault(key, _Hour(*key)).add(counts, n_sentences)

    def shifts(self) -> Mapping[str, Shift]:
        """Return the shift of each histogram as of the last `refresh`; never waits.

        Empty before the first scan, or without a reference.
        """
        return self._shifts

    def refresh(self) -> int:
        """Store the counts of this process, and read those of all. Returns 0: a log line needs no counts.

        Raises:
            DatabaseUnavailable: see Transactions.run; the counts wait in memory.
        """
        self._store()
        self._shifts = self._compare(self._serving())
        return 0

    def delete_old(self) -> int:
        """Delete the counts that no window reaches any more; return the number of rows."""
        return self._transactions.run(queries.delete_counts, before=self._clock() - KEPT)

    def close(self) -> None:
        """Store what this process has counted, unless the database is unavailable."""
        try:
            self._store()
        except (RiskscanError, SQLAlchemyError) as error:
            _log.warning("the last counts for the drift monitor are lost: %s", type(error).__name__)

    def _store(self) -> None:
        with self._storing:
            with self._lock:
                changed = [hour for hour in self._own.values() if hour.n_unstored]
                rows = [hour.row() for hour in changed]
                n_stored = [hour.n_unstored for hour in changed]
            if rows:
                self._transactions.run(_store, rows)
            now = self._clock()
            with self._lock:
                for hour, n in zip(changed, n_stored, strict=True):
                    hour.n_unstored -= n
                self._own = {k: hour for k, hour in self._own.items() if not hour.is_over(now)}

    def _compare(self, model: str) -> Mapping[str, Shift]:
        reference = self._cached_reference(model)
        if reference is None:
            return {}
        since = self._clock() - KEPT
        observed = _sum(self._transactions.read(_window, model, since), reference)
        if not observed:
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


class _Hour:
    """The counts of one process for a model in an hour, which have a row of their own."""

    def __init__(self, model: str, hour: datetime) -> None:
        self.n_unstored = 0
        """Scans since the counts were stored."""
        self._id = uuid_utils.compat.uuid7()
        self._model = model
        self._hour = hour
        self._n_sentences = 0
        self._counts: dict[str, Counts] = {}

    def add(self, counts: Mapping[str, list[int]], n_sentences: int) -> None:
        self.n_unstored += 1
        self._n_sentences += n_sentences
        for name, added in counts.items():
            self._counts[name] = np.array(added, np.int64) + self._counts.get(name, 0)

    def row(self) -> dict[str, object]:
        return {
            "id": self._id,
            "model": self._model,
            "hour": self._hour,
            "n_sentences": self._n_sentences,
            "counts": {name: counts.tolist() for name, counts in self._counts.items()},
        }

    def is_over(self, now: datetime) -> bool:
        """Return whether the hour has passed and all is stored."""
        return not self.n_unstored and now >= self._hour + timedelta(hours=1)


def _store(session: Session, rows: Sequence[Mapping[str, object]]) -> None:
    for row in rows:
        queries.store_counts(session, DriftCounts(**row))


def _window(session: Session, model: str, since: datetime) -> Sequence[Mapping[str, list[int]]]:
    start = queries.window_start(session, model, n_sentences=WINDOW_SENTENCES, since=since)
    return [] if start is None else queries.list_counts(session, model, since=start)


def _sum(rows: Sequence[Mapping[str, list[int]]], reference: Reference) -> dict[str, list[int]]:
    """Return the sum of histograms; leave rows out whose bins are not those of the reference."""
    n_bins = {name: len(bins) for name, bins in reference.findings.items()}
    total: dict[str, Counts] = {}
    for row in rows:
        if all(len(bins) == n_bins.get(name) for name, bins in row.items()):
            for name, bins in row.items():
                total[name] = np.array(bins, np.int64) + total.get(name, 0)
    return {name: counts.tolist() for name, counts in total.items()}
