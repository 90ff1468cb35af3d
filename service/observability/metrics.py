"""Every metric of the service with its name, help, labels and buckets.

Label values come from fixed lists: routes, codes, models, the categories of their taxonomies. A label never
contains a text, a user, a document or a path. dashboards/riskscan.json shows every metric.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

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
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service import __version__
from service.nlp.document import Source
from service.nlp.observer import Call, Observer, Rejection, Stage, Upstream
from service.observability.metric_sums import plain_values
from service.problem_types import PROBLEM_TYPES

UNMATCHED = "unmatched"
"""Label value of a request that matched no route, and of any other value outside of its list."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STAGE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PASS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_UPSTREAM_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_TOKENS = (16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024)


class Metrics(Observer):
    """The metrics of one process, in their own registry."""

    def __init__(self) -> None:
        # process_start_time_seconds already tells when all counters started.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._add_http()
        self._add_scans()
        self._add_queue()
        self._add_batches()
        self._add_inference()
        self._add_models()
        self._add_shadow_and_drift()
        self._add_health()

    def exposition(self) -> bytes:
        """Return all metrics in the Prometheus text format (MEDIA_TYPE)."""
        return generate_latest(self.registry)

    def plain_values(self) -> list[list[Any]]:
        """Return all metrics in a form that JSON and MetricSums take."""
        return plain_values(self.registry)

    def count_request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request by `route`, the rule that it matched, such as /api/v1/scans/<uuid:scan_id>."""
        labels = (_known(method, _METHODS), route or UNMATCHED, f"{status // 100}xx")
        self._requests.labels(*labels).observe(seconds)

    def count_problem(self, code: str, n: int = 1) -> None:
        """Count `n` error responses with this code."""
        self._problems.labels(code).inc(n)

    def stage_ended(self, stage: Stage, seconds: float) -> None:
        self._stages[stage].observe(seconds)

    def taxonomy_opened(self, categories: Sequence[str]) -> None:
        for category, source in itertools.product(categories, get_args(Source)):
            self._findings.labels(category, source)

    def scanned(self, source: str, n_sentences: int, categories: Sequence[str | None]) -> None:
        self._scans.labels(source).inc()
        self._sentences.labels(source).inc(n_sentences)
        for category in categories:
            self._findings.labels(category or "foreign", source).inc()

    def shadowed(
        self, n_agreeing: int, n_only_serving: int, n_only_shadow: int, n_dropped: int
    ) -> None:
        self._shadow_scans.inc()
        self._shadow_dropped.inc(n_dropped)
        self._shadow_findings.labels("both").inc(n_agreeing)
        self._shadow_findings.labels("serving").inc(n_only_serving)
        self._shadow_findings.labels("shadow").inc(n_only_shadow)

    def report_dropped(self) -> None:
        self._reports_dropped.inc()

    def queued(self, tokens: int, requests: int) -> None:
        self._queue_tokens.inc(tokens)
        self._queue_requests.inc(requests)

    def waited(self, seconds: float) -> None:
        self._queue_wait.observe(seconds)

    def rejected(self, reason: Rejection) -> None:
        self._rejected.labels(_known(reason, get_args(Rejection))).inc()

    def tokenized(self, seconds: float) -> None:
        self._tokenize.observe(seconds)

    def inferred(self, seconds: float, tokens: int, padded_tokens: int, rows: int) -> None:
        self._infer.observe(seconds)
        self._batch_tokens.observe(tokens)
        self._batch_rows.observe(rows)
        self._padding.inc(padded_tokens - tokens)

    def cached(self, hits: int, misses: int) -> None:
        self._cache_lookups.labels("hit").inc(hits)
        self._cache_lookups.labels("miss").inc(misses)

    def circuit_changed(self, upstream: Upstream, is_open: bool) -> None:
        self._circuit_open.labels(upstream).set(is_open)

    def called(self, call: Call) -> None:
        self._upstream.labels(call.upstream, call.outcome).observe(call.duration_s)

    def _add_http(self) -> None:
        self._requests = self._histogram(
            "riskscan_http_request_duration_seconds",
            "Time from the start of a request on its thread to its response, by method, route and status.",
            _REQUEST_S,
            "method",
            "route",
            "status",
        )
        self._problems = self._counter(
            "riskscan_http_problems_total", "Error responses, by code.", code=PROBLEM_TYPES
        )
        self.in_progress = self._gauge(
            "riskscan_http_requests_in_progress", "Requests that threads are answering."
        )
        self.waiting = self._gauge(
            "riskscan_http_requests_waiting", "Requests that wait for a thread."
        )

    def _add_scans(self) -> None:
        sources = get_args(Source)
        self._scans = self._counter(
            "riskscan_scans_total", "Scanned documents, by source.", source=sources
        )
        self._sentences = self._counter(
            "riskscan_scanned_sentences_total", "Sentences of scanned documents.", source=sources
        )
        self._findings = self._counter(
            "riskscan_findings_total",
            "Findings, by category and source.",
            category=(),  # see taxonomy_opened
            source=sources,
        )
        self._reports_dropped = self._counter(
            "riskscan_scan_reports_dropped_total",
            "Scans missing from the scan counters and the drift index because the report queue was full.",
        )
        durations = self._histogram(
            "riskscan_scan_stage_duration_seconds",
            "Duration of each stage of a scan, failed ones included.",
            _STAGE_S,
            "stage",
        )
        self._stages = {stage: durations.labels(stage) for stage in get_args(Stage)}

    def _add_queue(self) -> None:
        self._queue_tokens = self._gauge(
            "riskscan_queue_tokens",
            "Tokens of analyses that wait for the model or are running in it.",
        )
        self._queue_requests = self._gauge(
            "riskscan_queue_requests", "Analyses that wait for the model or are running in it."
        )
        self._queue_wait = self._histogram(
            "riskscan_queue_wait_seconds",
            "Time from the arrival of an analysis to its first forward pass.",
            _STAGE_S,
        )
        self._rejected = self._counter(
            "riskscan_queue_rejected_total",
            "Analyses rejected or dropped before they ran, by reason.",
            reason=[*get_args(Rejection), UNMATCHED],
        )

    def _add_batches(self) -> None:
        self.batch_items = self._labelled_gauge(
            "riskscan_batch_items", "Documents of batches in the database, by state.", "state"
        )
        self.batch_age = self._gauge(
            "riskscan_batch_oldest_waiting_seconds",
            "Time since the oldest batch was sent that still has a waiting document.",
        )

    def _add_inference(self) -> None:
        self._tokenize = self._histogram(
            "riskscan_tokenize_duration_seconds", "Duration of tokenizing sentences.", _PASS_S
        )
        self._infer = self._histogram(
            "riskscan_infer_duration_seconds", "Duration of forward passes.", _PASS_S
        )
        self._batch_tokens = self._histogram(
            "riskscan_batch_tokens", "Tokens of a forward pass, without padding.", _TOKENS
        )
        self._batch_rows = self._histogram(
            "riskscan_batch_rows", "Sentences, or windows of long ones, of a forward pass.", _ROWS
        )
        self._padding = self._counter(
            "riskscan_padding_tokens_total", "Padding tokens that went through the model."
        )
        self._cache_lookups = self._counter(
            "riskscan_cache_lookups_total",
            "Sentences looked up in the score cache.",
            result=["hit", "miss"],
        )
        self._upstream = self._histogram(
            "riskscan_upstream_call_duration_seconds",
            "Requests to an LLM or another AI service, by outcome: answered, or the error's code.",
            _UPSTREAM_S,
            "upstream",
            "outcome",
        )
        self._circuit_open = Gauge(
            "riskscan_circuit_open",
            "1 while a server is not called, since it failed several times in a row.",
            ["upstream"],
            registry=self.registry,
        )
        for upstream in get_args(Upstream):
            self._circuit_open.labels(upstream)

    def _add_models(self) -> None:
        build = Info("riskscan_build", "The version of the service.", registry=self.registry)
        build.info({"version": __version__})
        self.models = self._labelled_gauge(
            "riskscan_model_info", "The models in use, by role.", "role", "name", "version"
        )

    def _add_shadow_and_drift(self) -> None:
        self._shadow_scans = self._counter(
            "riskscan_shadow_scans_total", "Scans that the shadow model scored too."
        )
        self._shadow_dropped = self._counter(
            "riskscan_shadow_dropped_total", "Scans that the shadow model was too busy to score."
        )
        self._shadow_findings = self._counter(
            "riskscan_shadow_findings_total",
            "Findings in shadowed scans, by the models that found them.",
            found_by=["both", "serving", "shadow"],
        )
        self.drift = self._labelled_gauge(
            "riskscan_drift_index",
            "Population stability index between recent findings and the model's reference.",
            "histogram",
        )
        self.drift_by_chance = self._labelled_gauge(
            "riskscan_drift_chance_index",
            "Drift index that so few findings show by chance; above 0.1 the drift index is not meaningful.",
            "histogram",
        )

    def _add_health(self) -> None:
        self.ready = self._gauge(
            "riskscan_ready", "1 if the service can answer and store a scan, else 0."
        )
        self.database_age = self._gauge(
            "riskscan_database_answer_age_seconds",
            "Time since the last readiness check of the database.",
        )

    def _counter(self, name: str, help_text: str, **labels: Iterable[str]) -> Counter:
        """Return a counter; every combination of label values exists from the start, at zero."""
        counter = Counter(name, help_text, list(labels), registry=self.registry)
        for values in itertools.product(*labels.values()) if labels else ():
            counter.labels(*values)
        return counter

    def _histogram(
        self, name: str, help_text: str, buckets: Sequence[float], *labels: str
    ) -> Histogram:
        return Histogram(name, help_text, labels, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(name, help_text, registry=self.registry)

    def _labelled_gauge(self, name: str, help_text: str, *labels: str) -> LabelledGauge:
        gauge = LabelledGauge(name, help_text, labels)
        self.registry.register(gauge)
        return gauge


class LabelledGauge(Collector):
    """A gauge whose values, by label values, are computed at scrape time.

    prometheus_client's own `set_function` needs to know the label values beforehand.
    """

    def __init__(self, name: str, help_text: str, labels: Sequence[str]) -> None:
        self._name, self._help_text, self._labels = name, help_text, labels
        self._function: Callable[[], Mapping[tuple[str, ...], float]] = dict

    def set_function(self, function: Callable[[], Mapping[tuple[str, ...], float]]) -> None:
        """Compute the values with `function`, which returns at once and never raises."""
        self._function = function

    def collect(self) -> Iterable[Metric]:
        """Yield the current values."""
        family = GaugeMetricFamily(self._name, self._help_text, labels=self._labels)
        for labels, value in self._function().items():
            family.add_metric(labels, value)
        yield family


def _known(value: str, allowed: Iterable[str]) -> str:
    return value if value in allowed else UNMATCHED
