"""The metrics of several processes as those of one: sums, no duplicates, and counters that never fall."""

import json

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from service.nlp.taxonomy import built_in
from service.observability.metric_sums import RULES, MetricSums, plain_values
from service.observability.metrics import Metrics
from service.observability.supervisor_metrics import SupervisorMetrics


@pytest.fixture
def sums():
    return MetricSums()


def values(registry):
    return json.loads(json.dumps(plain_values(registry)))


def counted(n):
    registry = CollectorRegistry()
    Counter("scans", "Scans.", ["source"], registry=registry).labels("model").inc(n)
    histogram = Histogram("took_s", "Took.", buckets=[1, 2], registry=registry)
    for _ in range(n):
        histogram.observe(1.5)
    return values(registry)


def gauged(name, value):
    registry = CollectorRegistry()
    Gauge(name, "A gauge.", registry=registry).set(value)
    return values(registry)


def series(registry):
    """Return the value of each series in the exposition; a series may occur once."""
    text = generate_latest(registry).decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    shown = {(s.name, *sorted(s.labels.items())): s.value for s in samples}
    assert len(shown) == len(samples)
    return shown


def rendered(sums):
    registry = CollectorRegistry()
    registry.register(sums)
    return series(registry)


def test_counters_and_histograms_of_processes_are_added(sums):
    sums.update("a", counted(2))
    sums.update("b", counted(3))
    shown = rendered(sums)
    assert shown["scans_total", ("source", "model")] == 5
    assert shown["took_s_bucket", ("le", "1.0")] == 0
    assert shown["took_s_bucket", ("le", "2.0")] == shown["took_s_bucket", ("le", "+Inf")] == 5
    assert (shown[("took_s_count",)], shown[("took_s_sum",)]) == (5, 7.5)


def test_newer_metrics_of_a_process_replace_its_older_ones(sums):
    sums.update("a", counted(2))
    sums.update("a", counted(7))
    assert rendered(sums)["scans_total", ("source", "model")] == 7


def test_counters_of_ended_processes_keep_counting(sums):
    for process in range(3):
        sums.update(process, counted(4))
        sums.end(process)
        assert rendered(sums)["scans_total", ("source", "model")] == 4 * (process + 1)
    sums.update("new", counted(1))
    assert rendered(sums)["scans_total", ("source", "model")] == 13


def test_gauges_of_an_ended_process_are_gone(sums):
    sums.update("a", gauged("riskscan_queue_tokens", 3))
    sums.end("a")
    assert rendered(sums) == {}


@pytest.mark.parametrize(
    ("name", "total"),
    [
        ("riskscan_queue_tokens", 8),
        ("process_resident_memory_bytes", 8),
        ("riskscan_circuit_open", 5),
        ("riskscan_ready", 5),
        ("process_start_time_seconds", 3),
    ],
)
def test_gauge_follows_its_rule(sums, name, total):
    sums.update("a", gauged(name, 3))
    sums.update("b", gauged(name, 5))
    assert rendered(sums) == {(name,): total}


def test_all_metrics_of_one_process_are_unchanged(sums):
    metrics = Metrics()
    metrics.taxonomy_opened(list(built_in().categories))
    metrics.count_request("GET", "/health", 200, 0.1)
    sums.update("a", json.loads(json.dumps(metrics.plain_values())))
    own = {name: value for name, value in series(metrics.registry).items() if "riskscan" in name[0]}
    assert own == {n: value for n, value in rendered(sums).items() if "riskscan" in n[0]}
    assert len(own) > 100


def test_every_gauge_has_a_rule():
    registries = (Metrics().registry, SupervisorMetrics(2, lambda: 2).registry)
    kinds = {family.name: family.type for r in registries for family in r.collect()}
    assert {name for name, kind in kinds.items() if kind in {"gauge", "info"}} <= set(RULES)
