"""Spans of a request, its stages and its calls reach a collector; they hold no text."""

import secrets
from contextlib import closing

import pytest

from service.errors import ConfigError
from service.observability import tracing
from tests.fakes.trace_collector import TraceCollector
from tests.support.calls import HTTP
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def collector():
    with closing(TraceCollector()) as opened:
        yield opened


@pytest.fixture(scope="module")
def traced(start_service, collector, llm):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")  # read when the exporter opens
        yield start_service(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            LLM_BASE_URL=llm.base_url,
            LLM_MODEL="rules",
            AI_SERVICE_OPEN="true",
        )


def scan(live, *, flags="01", **body):
    """Scan under a trace of its own; return the trace id."""
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-{'a' * 16}-{flags}"}
    HTTP.post(f"{live.url}/scan", json={"text": FLOW_TEXT, **body}, headers=headers)
    return trace_id


def spans_of(collector, trace_id):
    return {s.name: s for s in collector.spans if s.trace_id.hex() == trace_id}


def received(collector, trace_id):
    """Return the spans of a trace by name, once that of the request has arrived."""
    wait_until(lambda: "POST /scan" in spans_of(collector, trace_id))
    return spans_of(collector, trace_id)


def attributes(span):
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_request_and_stages_are_spans_of_the_callers_trace(traced, collector):
    spans = received(collector, scan(traced))
    assert set(spans) == {"POST /scan", "extract", "segment", "analyze"}
    request = spans["POST /scan"]
    assert request.parent_span_id.hex() == "a" * 16
    assert {spans[name].parent_span_id for name in ("segment", "analyze")} == {request.span_id}
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/scan",
        "http.response.status_code": 200,
    }
    analyze = spans["analyze"]
    assert request.start_time_unix_nano <= analyze.start_time_unix_nano + 5_000_000
    assert analyze.start_time_unix_nano < analyze.end_time_unix_nano
    assert FLOW_TEXT not in str(spans)


def test_llm_call_has_the_span_id_that_the_llm_received(traced, collector, llm):
    spans = received(collector, scan(traced, force_llm=True))
    _, trace_id, span_id, flags = llm.requests[-1][0]["traceparent"].split("-")
    call = spans["call llm"]
    assert (call.span_id.hex(), call.trace_id.hex(), flags) == (span_id, trace_id, "01")
    assert call.parent_span_id == spans["POST /scan"].span_id
    assert attributes(call)["server.address"] == "127.0.0.1"


def test_trace_that_the_caller_does_not_record_sends_no_span(traced, collector):
    silent, recorded = scan(traced, flags="00"), scan(traced)
    received(collector, recorded)
    assert spans_of(collector, silent) == {}


def test_request_without_a_trace_begins_one(traced, collector):
    n_before = len(collector.spans)
    HTTP.get(f"{traced.url}/health/live")
    wait_until(lambda: any(s.name == "GET /health/live" for s in collector.spans[n_before:]))


def test_collector_that_is_away_fails_nobody(start_service):
    live = start_service(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", AI_SERVICE_OPEN="true")
    assert HTTP.post(f"{live.url}/scan", json={"text": FLOW_TEXT}).status_code == 200


def test_missing_packages_are_named_with_the_command(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"pip install -r requirements-otel\.txt"):
        tracing.open_tracing("http://localhost:4318")


@pytest.mark.system
def test_request_that_the_server_rejects_is_a_span_of_the_callers_trace(traced, collector):
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-{'a' * 16}-01"}
    answer = HTTP.post(f"{traced.url}/api/v1/scan", content=bytes(2_000_000), headers=headers)
    assert answer.status_code == 401
    wait_until(lambda: spans_of(collector, trace_id))
    [rejected] = spans_of(collector, trace_id).values()
    assert rejected.parent_span_id.hex() == "a" * 16
    assert attributes(rejected) == {
        "http.request.method": "POST",
        "http.route": "unmatched",
        "http.response.status_code": 401,
    }
