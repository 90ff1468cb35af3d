"""Observations become series with bounded labels, in the Prometheus text format."""

import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.observability.metrics import Metrics


@pytest.fixture
def metrics():
    return Metrics()


def value(metrics, name, **labels):
    """Return the value of a series in the exposition, or None."""
    families = text_string_to_metric_families(metrics.exposition().decode())
    values = [s.value for f in families for s in f.samples if (s.name, s.labels) == (name, labels)]
    return values[0] if values else None


def test_forward_pass_is_counted_in_seconds_tokens_and_padding(metrics):
    metrics.inferred(0.25, 90, 120, 4)
    assert value(metrics, "riskscan_infer_duration_seconds_sum") == 0.25
    assert value(metrics, "riskscan_batch_tokens_sum") == 90
    assert value(metrics, "riskscan_batch_rows_sum") == 4
    assert value(metrics, "riskscan_padding_tokens_total") == 30


def test_queue_is_the_sum_of_its_changes(metrics):
    metrics.queued(500, 1)
    metrics.queued(40, 1)
    metrics.queued(-500, -1)
    assert value(metrics, "riskscan_queue_tokens") == 40
    assert value(metrics, "riskscan_queue_requests") == 1


def test_queue_of_many_threads_ends_at_zero(metrics):
    def enqueue_and_dequeue():
        for n in range(500):
            metrics.queued(n, 1)
            metrics.queued(-n, -1)

    threads = [threading.Thread(target=enqueue_and_dequeue) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(metrics, "riskscan_queue_tokens") == 0


def test_waits_refusals_and_lookups_are_counted(metrics):
    metrics.waited(0.5)
    metrics.tokenized(0.125)
    metrics.rejected("overloaded")
    metrics.cached(3, 2)
    assert value(metrics, "riskscan_queue_wait_seconds_sum") == 0.5
    assert value(metrics, "riskscan_tokenize_duration_seconds_sum") == 0.125
    assert value(metrics, "riskscan_queue_rejected_total", reason="overloaded") == 1
    assert value(metrics, "riskscan_cache_lookups_total", result="hit") == 3
    assert value(metrics, "riskscan_cache_lookups_total", result="miss") == 2


def test_unknown_reason_and_method_make_no_series_of_their_own(metrics):
    for n in range(20):
        metrics.rejected(f"reason {n}")
        metrics.count_request(f"METHOD{n}", None, 405, 0.1)
    text = metrics.exposition().decode()
    assert value(metrics, "riskscan_queue_rejected_total", reason="unmatched") == 20
    assert "reason 7" not in text
    assert "METHOD7" not in text
