"""Shadowing: a second model scores a share of the answered scans, for comparison only.

Only counts are logged and stored: no sentence, no finding.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from dataclasses import dataclass, fields
from typing import Any

from db.queries.deployments import ShadowCounts, add_to_shadow_totals
from service.domain.transactions import Transactions
from service.errors import DatabaseUnavailable, RiskscanError
from service.nlp.analyzers.base import Analyzer
from service.nlp.deadline import Deadline
from service.nlp.document import Analysis, Finding
from service.nlp.observer import NULL_OBSERVER, Observer
from service.nlp.pipeline import ScanResult
from service.observability.logging import fields as log_fields

# A shadow that falls behind must not hold the memory of the documents that it will never reach.
MAX_WAITING_SCANS = 16
MAX_WAITING_CHARS = 2_500_000
# Longer than for a request: the shadow yields to requests, and no caller waits for it.
TIMEOUT_S = 600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Numbers of findings on one document: of both models, of the serving model alone, of the shadow alone.

    `by_category` counts the same three, in this order. `abs_score_difference` (probability) is summed over
    the findings of both; the score of a model without the finding is unknown.
    """

    n_agreeing: int
    n_only_serving: int
    n_only_shadow: int
    by_category: dict[str, tuple[int, int, int]]
    abs_score_difference: float

    def mean_abs_score_difference(self) -> float | None:
        """Return the mean over the findings of both, or None if there are none."""
        return self.abs_score_difference / self.n_agreeing if self.n_agreeing else None


def compare(serving: Analysis, shadow: Analysis) -> Comparison:
    """Compare the findings of two analyses of the same document, by span and risk type.

    If their taxonomies differ, only the types that both have are compared.
    """
    shared = serving.taxonomy.columns.keys() & shadow.taxonomy.columns
    ours, theirs = (
        {_key(f): f for f in analysis.findings if f.risk_type in shared}
        for analysis in (serving, shadow)
    )
    groups = (ours.keys() & theirs, ours.keys() - theirs, theirs.keys() - ours)
    findings = {**theirs, **ours}
    counted = [Counter(str(findings[key].category) for key in keys) for keys in groups]
    agreeing, only_serving, only_shadow = groups
    return Comparison(
        n_agreeing=len(agreeing),
        n_only_serving=len(only_serving),
        n_only_shadow=len(only_shadow),
        by_category={
            c: (counted[0][c], counted[1][c], counted[2][c]) for c in sorted(set().union(*counted))
        },
        abs_score_difference=sum(
            abs((ours[k].score or 0) - (theirs[k].score or 0)) for k in agreeing
        ),
    )


def is_sampled(document_sha256: str, share: float) -> bool:
    """Return whether a document (sha256, hex) falls into `share` (0 to 1) of all; deterministic."""
    return int(document_sha256[:8], 16) < share * 2**32


class Shadow:
    """Scores offered scans with the shadow model on its own thread; drops scans if it falls behind."""

    def __init__(
        self,
        transactions: Transactions,
        *,
        observer: Observer = NULL_OBSERVER,
    ) -> None:
        self._transactions = transactions
        self._observer = observer
        self._analyzer: Analyzer | None = None
        self._share = 0.0
        self._retired: list[Analyzer] = []
        self._waiting: deque[ScanResult] = deque()
        self._n_dropped = 0
        self._pending: dict[tuple[str, str], ShadowCounts] = {}
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread: threading.Thread | None = None

    def use(self, analyzer: Analyzer | None, *, share: float = 0.0) -> None:
        """Shadow with `analyzer`, or not at all; close the previous one after its current scan."""
        with self._changed:
            if self._analyzer is not None and self._analyzer is not analyzer:
                self._retired.append(self._analyzer)
                self._waiting.clear()
            self._analyzer, self._share = analyzer, share
            if self._thread is None and analyzer is not None:
                self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
                self._thread.start()
            self._changed.notify()

    def offer(self, result: ScanResult) -> None:
        """Queue an answered scan if it falls into the share; never waits, never raises."""
        with self._changed:
            if self._analyzer is None or result.analysis.source != "model":
                return
            if not is_sampled(result.document_sha256, self._share):
                return
            n_chars = sum(len(r.document.text) for r in self._waiting) + len(result.document.text)
            if len(self._waiting) >= MAX_WAITING_SCANS or n_chars > MAX_WAITING_CHARS:
                self._n_dropped += 1
                return
            self._waiting.append(result)
            self._changed.notify()

    def close(self) -> None:
        """End the thread after its current scan, and close the model."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
        for analyzer in [*self._retired, self._analyzer]:
            if analyzer is not None:
                analyzer.close()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._retired or self._is_closing)
                if self._is_closing:
                    return
                retired, self._retired = self._retired, []
                result = self._waiting.popleft() if self._waiting else None
                analyzer = self._analyzer
            for old in retired:
                old.close()
            if result is not None and analyzer is not None:
                self._shadow_or_log(analyzer, result)

    def _shadow_or_log(self, analyzer: Analyzer, result: ScanResult) -> None:
        try:
            self._shadow(analyzer, result)
        except RiskscanError as error:
            _log.warning("a scan was not shadowed: %s", error.message)
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must survive any error
            _log.error("a scan was not shadowed: %s", type(error).__name__)

    def _shadow(self, analyzer: Analyzer, result: ScanResult) -> None:
        deadline = Deadline.after(TIMEOUT_S)
        analysis = analyzer.analyze(
            result.document, sensitivity=result.sensitivity, deadline=deadline
        )
        comparison = compare(result.analysis, analysis)
        pair = (model_name(result.analysis), model_name(analysis))
        n_sentences = len(result.document.sentences)
        with self._changed:
            n_dropped, self._n_dropped = self._n_dropped, 0
        counts = ShadowCounts(
            n_scans=1,
            n_sentences=n_sentences,
            n_agreeing=comparison.n_agreeing,
            n_only_serving=comparison.n_only_serving,
            n_only_shadow=comparison.n_only_shadow,
            n_dropped=n_dropped,
            abs_score_difference=comparison.abs_score_difference,
        )
        _log.info("shadow", extra=log_fields(**_log_fields(pair, counts, comparison)))
        self._observer.shadowed(
            counts.n_agreeing, counts.n_only_serving, counts.n_only_shadow, counts.n_dropped
        )
        self._pending[pair] = _sum(self._pending.get(pair, ShadowCounts()), counts)
        self._store_pending()

    def _store_pending(self) -> None:
        """Add the pending counts to the stored totals; keep them if the database is unavailable."""
        for (serving, shadow), counts in list(self._pending.items()):
            try:
                self._transactions.run(
                    add_to_shadow_totals, serving=serving, shadow=shadow, counts=counts
                )
            except DatabaseUnavailable as error:
                _log.warning("the totals of shadowing are stored later: %s", error.message)
                return
            del self._pending[(serving, shadow)]


def model_name(analysis: Analysis) -> str:
    """Return the name/version of the model of an analysis."""
    return f"{analysis.model_name}/{analysis.model_version}"


def _key(finding: Finding) -> tuple[int | None, int | None, str | None]:
    return finding.start, finding.end, finding.risk_type


def _sum(a: ShadowCounts, b: ShadowCounts) -> ShadowCounts:
    return ShadowCounts(
        **{f.name: getattr(a, f.name) + getattr(b, f.name) for f in fields(ShadowCounts)}
    )


def _log_fields(
    pair: tuple[str, str], counts: ShadowCounts, comparison: Comparison
) -> dict[str, Any]:
    mean = comparison.mean_abs_score_difference()
    return {
        "serving": pair[0],
        "shadow": pair[1],
        "n_sentences": counts.n_sentences,
        "n_findings_serving": counts.n_agreeing + counts.n_only_serving,
        "n_findings_shadow": counts.n_agreeing + counts.n_only_shadow,
        "n_agreeing": counts.n_agreeing,
        "n_only_serving": counts.n_only_serving,
        "n_only_shadow": counts.n_only_shadow,
        "n_dropped": counts.n_dropped,
        "by_category": comparison.by_category,
        "mean_abs_score_difference": None if mean is None else round(mean, 4),
    }
