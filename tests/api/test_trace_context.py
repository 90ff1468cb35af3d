"""A caller's trace: in the log lines of its request, and in the requests to other services."""

import json
import logging

import pytest

from service.observability.logging import _JsonFormatter
from tests.fakes.scan_server import ScanServer
from tests.support.sentences import FLOW_TEXT

ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACE = {"traceparent": f"00-{ID}-{SPAN}-01", "tracestate": "congo=t61rcWkgMzE"}


@pytest.fixture
def lines():
    """The JSON lines of the service, formatted on the thread that logs."""
    written, logger = [], logging.getLogger("service")
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter())
    handler.emit = lambda record: written.append(json.loads(handler.format(record)))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield written
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture
def remote():
    server = ScanServer()
    yield server
    server.close()


def sent(server):
    return [{k.lower(): v for k, v in headers.items()} for headers, _ in server.requests]


def test_trace_of_the_caller_is_in_every_line_of_its_request(user, lines):
    user.scan(headers=TRACE).raise_for_status()
    named = [line for line in lines if line["message"] in {"request", "scan"}]
    assert {line["message"] for line in named} == {"request", "scan"}
    assert {line["trace_id"] for line in named} == {ID}
    assert all(line["request_id"] for line in named)


@pytest.mark.parametrize("traceparent", ["", "00-0-0-0", f"ff-{ID}-{SPAN}-01"])
def test_request_without_a_valid_trace_gets_its_own(client, lines, traceparent):
    for _ in range(2):
        client.get("/api/v1/auth/me", headers={"traceparent": traceparent})
    ids = {line["trace_id"] for line in lines if line["message"] == "request"}
    assert len(ids) == 2
    assert ID not in ids


def test_each_request_to_the_llm_carries_the_trace_with_a_new_span(start_service, make_user, llm):
    user = make_user(start_service(LLM_BASE_URL=llm.base_url, LLM_MODEL="rules"))
    llm.requests.clear()
    text = " ".join(f"{FLOW_TEXT}. Step {n} follows." for n in range(40))
    body = {"text": text, "force_llm": True}
    user.http.post("/api/v1/scan", json=body, headers=TRACE).raise_for_status()
    parents = [headers["traceparent"].split("-") for headers in sent(llm)]
    assert len(parents) > 1  # on several threads
    assert {(p[0], p[1], p[3]) for p in parents} == {("00", ID, "01")}
    spans = {p[2] for p in parents}
    assert len(spans) == len(parents)
    assert SPAN not in spans
    assert {headers["tracestate"] for headers in sent(llm)} == {TRACE["tracestate"]}


def test_request_to_the_other_service_carries_the_trace(start_service, make_user, remote):
    user = make_user(start_service(AI_SERVICE_URL=remote.url))
    user.scan(headers=TRACE).raise_for_status()
    [headers] = sent(remote)
    assert headers["traceparent"].startswith(f"00-{ID}-")
    assert SPAN not in headers["traceparent"]


def test_request_that_the_server_rejects_keeps_its_trace_and_id(client, lines):
    headers = {**TRACE, "X-Request-ID": "rejected-0001"}
    answer = client.post("/api/v1/scan", content=bytes(2_000_000), headers=headers)
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (401, "rejected-0001")
    [line] = [line for line in lines if line["message"] == "rejected"]
    assert (line["trace_id"], line["request_id"]) == (ID, "rejected-0001")
    assert (line["status"], line["code"]) == (401, "unauthenticated")
