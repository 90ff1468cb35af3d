"""Reports answered scans: a log line at once; metrics, drift, shadow and search after the answer."""

from __future__ import annotations

import functools
import logging
from uuid import UUID

from service.domain.background_tasks import BackgroundTasks
from service.domain.deployments.drift_monitor import DriftMonitor
from service.domain.deployments.shadow import Shadow
from service.domain.search.indexer import SearchIndexer
from service.nlp.observer import Observer
from service.nlp.pipeline import ScanResult
from service.observability.logging import fields

_log = logging.getLogger(__name__)


class ScanReporter:
    """Passes each answered scan to the metrics, the drift monitor, the shadow model and search."""

    def __init__(
        self,
        background: BackgroundTasks,
        observer: Observer,
        drift: DriftMonitor,
        shadow: Shadow,
        search: SearchIndexer,
    ) -> None:
        self._background = background
        self._observer = observer
        self._drift = drift
        self._shadow = shadow
        self._search = search

    def report(self, result: ScanResult, *, duration_s: float, scan_id: UUID | None = None) -> None:
        """Log the scan and submit the rest as a task; `scan_id` is None if the scan was not stored."""
        _log.info(
            "scan",
            extra=fields(
                scan_id=scan_id,
                source=result.analysis.source,
                n_sentences=len(result.document.sentences),
                n_findings=len(result.findings()),
                language=result.languages.main,
                warnings=[warning.code for warning in result.warnings],
                duration_ms=round(duration_s * 1000, 1),
                read_ms=round(result.read_s * 1000, 1),
                analyze_ms=round(result.analyze_s * 1000, 1),
            ),
        )
        self._background.submit(functools.partial(self._count, result))
        if scan_id is not None:
            self._search.offer_scan(scan_id)

    def _count(self, result: ScanResult) -> None:
        categories = [finding.category for finding in result.findings()]
        n_sentences = len(result.document.sentences)
        self._observer.scanned(result.analysis.source, n_sentences, categories)
        self._drift.observe(result)
        self._shadow.offer(result)
