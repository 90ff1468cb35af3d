"""Every metric of the service, named once with its help, labels and buckets.

A label takes its values from a list that is known beforehand: routes, codes, categories, models. Never
a text, a user, a document or a path. dashboards/riskscan.json shows them all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from db.queries.deployments import ShadowCounts
from service import __version__
from service.errors import PROBLEM_TYPES
from service.nlp.document import Source
from service.nlp.observer import Rejection, Upstream
from service.nlp.pipeline import ScanResult, Stage
from service.nlp.taxonomy import CATEGORIES

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
UNMATCHED = "unmatched"
"""The route of a request to an address that is none, and the value for whatever is not on a list."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STAGE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PASS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_UPSTREAM_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_TOKENS = (16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024)


class Metrics:
    """The metrics of one application, in a registry of their own."""

    def __init__(self) -> None:
        # When a counter began is told by process_start_time_seconds.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._add_http()
        self._add_scans()
        self._add_inference()
        self._add_models()
        self._add_health()

    def exposition(self) -> bytes:
        """Return all of them in the text format of Prometheus, of media type MEDIA_TYPE."""
        return generate_latest(self.registry)

    def answered(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request; `route` is the rule that it matched, such as /api/v1/scans/<uuid:scan_id>."""
        labels = (_known(method, _METHODS), route or UNMATCHED, f"{status // 100}xx")
        self._requests.labels(*labels).observe(seconds)

    def refused(self, code: str, n: int = 1) -> None:
        """Count errors that callers were answered with."""
        self._problems.labels(code).inc(n)

    def timed(self, stage: Stage) -> AbstractContextManager[object]:
        """Return a context that times a stage of a scan, whether it fails or not."""
        return self._stages[stage].time()

    def scanned(self, result: ScanResult) -> None:
        """Count a document that was analyzed, and what was found in it."""
        source = result.analysis.source
        self._scans.labels(source).inc()
        self._sentences.labels(source).inc(len(result.document.sentences))
        for finding in result.analysis.findings:
            self._findings.labels(finding.category or "foreign", source).inc()

    def shadowed(self, counts: ShadowCounts) -> None:
        """Count a scan that the shadow model scored too, and those dropped before it."""
        self._shadow_scans.inc(counts.n_scans)
        self._shadow_dropped.inc(counts.n_dropped)
        self._shadow_findings.labels("both").inc(counts.n_agreeing)
        self._shadow_findings.labels("serving").inc(counts.n_only_serving)
        self._shadow_findings.labels("shadow").inc(counts.n_only_shadow)

    def observer(self) -> InferenceObserver:
        """Return an observer for one analyzer; what waits adds up over those of all analyzers."""
        return InferenceObserver(self)

    def _add_http(self) -> None:
        self._requests = Histogram(
            "riskscan_http_request_duration_seconds",
            "From a thread taking a request up to its answer, by method, route and class of status.",
            ["method", "route", "status"],
            buckets=_REQUEST_S,
            registry=self.registry,
        )
        self._problems = self._counter(
            "riskscan_http_problems_total", "Errors answered, by code.", code=PROBLEM_TYPES
        )
        self.in_progress = Gauge(
            "riskscan_http_requests_in_progress",
            "Requests that threads are answering.",
            registry=self.registry,
        )
        self.waiting = self._asked(
            "riskscan_http_requests_waiting", "Requests that no thread has taken up yet."
        )

    def _add_scans(self) -> None:
        sources = get_args(Source)
        self._scans = self._counter(
            "riskscan_scans_total", "Documents analyzed, by source.", source=sources
        )
        self._sentences = self._counter(
            "riskscan_scanned_sentences_total", "Sentences of these documents.", source=sources
        )
        self._findings = self._counter(
            "riskscan_findings_total",
            "Findings, by category and source.",
            category=CATEGORIES,
            source=sources,
        )
        durations = self._histogram(
            "riskscan_scan_stage_duration_seconds",
            "Each stage of a scan, those that failed included.",
            _STAGE_S,
            "stage",
        )
        self._stages = {stage: durations.labels(stage) for stage in get_args(Stage)}

    def _add_inference(self) -> None:
        self.queue_tokens = Gauge(
            "riskscan_queue_tokens", "Tokens that wait for the model.", registry=self.registry
        )
        self.queue_requests = Gauge(
            "riskscan_queue_requests", "Analyses that wait for the model.", registry=self.registry
        )
        self.queue_wait = self._histogram(
            "riskscan_queue_wait_seconds",
            "From the arrival of an analysis to its first forward pass.",
            _STAGE_S,
        )
        self.rejected = self._counter(
            "riskscan_queue_rejected_total",
            "Analyses that were not taken or dropped before the model saw them, by reason.",
            reason=[*get_args(Rejection), UNMATCHED],
        )
        self._add_passes()

    def _add_passes(self) -> None:
        self.tokenize = self._histogram(
            "riskscan_tokenize_duration_seconds", "Turning sentences into tokens.", _PASS_S
        )
        self.infer = self._histogram("riskscan_infer_duration_seconds", "Forward passes.", _PASS_S)
        self.batch_tokens = self._histogram(
            "riskscan_batch_tokens", "Tokens of a forward pass, without padding.", _TOKENS
        )
        self.batch_rows = self._histogram(
            "riskscan_batch_rows", "Sentences, or windows of long ones, of a forward pass.", _ROWS
        )
        self.padding = self._counter(
            "riskscan_padding_tokens_total", "Padding that went through the model."
        )
        self.cache_lookups = self._counter(
            "riskscan_cache_lookups_total",
            "Sentences looked up among those already scored.",
            result=["hit", "miss"],
        )
        self.upstream = self._histogram(
            "riskscan_upstream_call_duration_seconds",
            "Requests to an LLM or another AI service, by outcome: answered, or the error's code.",
            _UPSTREAM_S,
            "upstream",
            "outcome",
        )

    def _add_models(self) -> None:
        build = Info("riskscan_build", "The version of the service.", registry=self.registry)
        build.info({"version": __version__})
        self.models = self._asked(
            "riskscan_model_info", "The models in use, by role.", "role", "name", "version"
        )
        self._shadow_scans = self._counter(
            "riskscan_shadow_scans_total", "Scans that the shadow model scored too."
        )
        self._shadow_dropped = self._counter(
            "riskscan_shadow_dropped_total", "Scans that the shadow model was too busy for."
        )
        self._shadow_findings = self._counter(
            "riskscan_shadow_findings_total",
            "Findings in shadowed scans, by who found them.",
            found_by=["both", "serving", "shadow"],
        )
        self.drift = self._asked(
            "riskscan_drift_index",
            "Population stability index between recent findings and the model's reference.",
            "histogram",
        )
        self.drift_by_chance = self._asked(
            "riskscan_drift_chance_index",
            "How much of it so few findings would show by chance; above 0.1 it says nothing yet.",
            "histogram",
        )

    def _add_health(self) -> None:
        self.ready = self._asked("riskscan_ready", "1 when a scan can be answered and stored.")
        self.database_age = self._asked(
            "riskscan_database_answer_age_seconds",
            "Since the database was last asked and answered, or failed to.",
        )

    def _counter(self, name: str, told: str, **labels: Iterable[str]) -> Counter:
        """Return a counter whose series all exist, at zero, for every combination of label values."""
        counter = Counter(name, told, list(labels), registry=self.registry)
        combined: list[tuple[str, ...]] = [()]
        for values in labels.values():
            combined = [(*before, value) for before in combined for value in values]
        for values in combined if labels else []:
            counter.labels(*values)
        return counter

    def _histogram(self, name: str, told: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, told, labels, buckets=buckets, registry=self.registry)

    def _asked(self, name: str, told: str, *labels: str) -> AskedGauge:
        gauge = AskedGauge(name, told, labels)
        self.registry.register(gauge)
        return gauge


class AskedGauge(Collector):
    """A gauge whose values, by label values, are asked for at each exposition; none until `ask` is set.

    `ask` must return at once and never raise.
    """

    ask: Callable[[], Mapping[tuple[str, ...], float]]

    def __init__(self, name: str, told: str, labels: Sequence[str]) -> None:
        self._name, self._told, self._labels = name, told, labels
        self.ask = dict

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(self._name, self._told, labels=self._labels)
        for labels, value in self.ask().items():
            family.add_metric(labels, value)
        yield family


class InferenceObserver:
    """Turns what an analyzer tells into metrics; see nlp/observing.py."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._waiting = (0, 0)
        self._one_at_a_time = threading.Lock()

    def waited(self, seconds: float) -> None:
        self._metrics.queue_wait.observe(seconds)

    def tokenized(self, seconds: float) -> None:
        self._metrics.tokenize.observe(seconds)

    def inferred(self, seconds: float, tokens: int, padded_tokens: int, rows: int) -> None:
        self._metrics.infer.observe(seconds)
        self._metrics.batch_tokens.observe(tokens)
        self._metrics.batch_rows.observe(rows)
        self._metrics.padding.inc(padded_tokens - tokens)

    def queue(self, tokens: int, requests: int) -> None:
        with self._one_at_a_time:
            n_tokens, n_requests = self._waiting
            self._waiting = (tokens, requests)
            self._metrics.queue_tokens.inc(tokens - n_tokens)
            self._metrics.queue_requests.inc(requests - n_requests)

    def rejected(self, reason: Rejection) -> None:
        self._metrics.rejected.labels(_known(reason, get_args(Rejection))).inc()

    def cached(self, hits: int, misses: int) -> None:
        self._metrics.cache_lookups.labels("hit").inc(hits)
        self._metrics.cache_lookups.labels("miss").inc(misses)

    def called(self, upstream: Upstream, outcome: str, seconds: float) -> None:
        self._metrics.upstream.labels(upstream, outcome).observe(seconds)


def _known(value: str, allowed: Iterable[str]) -> str:
    return value if value in allowed else UNMATCHED
