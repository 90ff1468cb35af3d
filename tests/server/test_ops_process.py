"""The ops process answers from the last report, and with 503 if reports stop."""

import io
import json
from wsgiref.util import setup_testing_defaults

import pytest

from service.api.http.limits import PROBE_PATHS
from service.server.ops_process import SILENT_S, OpsAnswers

NEWS = {
    "ready": {"status": "ready", "checks": {"database": "answers"}, "age_s": 0.5},
    "faults": [],
    "metrics": "riskscan_ready 1.0\n",
    "media_type": "text/plain; version=0.0.4; charset=utf-8",
}


class Clock:
    def __init__(self):
        self.now_s = 1_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def answers(clock):
    return OpsAnswers(clock)


def tell(answers, **news):
    answers.hear(json.dumps({**NEWS, **news}).encode() + b"\n")


def get(answers, path, method="GET"):
    """Return status, headers and body."""
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "wsgi.input": io.BytesIO()}
    setup_testing_defaults(environ)
    started = []
    body = b"".join(answers(environ, lambda status, headers: started.append((status, headers))))
    [(status, headers)] = started
    return int(status[:3]), dict(headers), body


@pytest.mark.parametrize("path", PROBE_PATHS)
def test_before_anything_was_told_it_is_503(answers, path):
    status, headers, body = get(answers, path)
    assert (status, json.loads(body)["code"]) == (503, "not_ready")
    assert int(headers["Retry-After"]) > 0


def test_told_it_is_alive_ready_and_has_metrics(answers, clock):
    tell(answers)
    clock.now_s += 0.25
    assert json.loads(get(answers, "/health/live")[2])["status"] == "ok"
    ready = json.loads(get(answers, "/health/ready")[2])
    assert ready == {**NEWS["ready"], "age_s": 0.75}
    status, headers, body = get(answers, "/metrics")
    assert (status, body.decode()) == (200, NEWS["metrics"])
    assert headers["Content-Type"] == NEWS["media_type"]


def test_metrics_stay_when_a_line_brings_none(answers):
    tell(answers)
    answers.hear(json.dumps({"ready": NEWS["ready"], "faults": []}).encode())
    assert get(answers, "/metrics")[2].decode() == NEWS["metrics"]


def test_faults_make_it_not_ready_but_alive(answers):
    tell(answers, faults=[["database", "It is away."]])
    status, headers, body = get(answers, "/health/ready")
    problem = json.loads(body)
    assert (status, problem["detail"]) == (503, "It is away.")
    assert problem["errors"] == [{"field": "database", "message": "It is away."}]
    assert problem["request_id"] == headers["X-Request-ID"]
    assert get(answers, "/health/live")[0] == 200


@pytest.mark.parametrize("path", PROBE_PATHS)
def test_service_that_tells_nothing_any_more_is_503_until_it_does(answers, clock, path):
    tell(answers)
    clock.now_s += SILENT_S + 0.1
    assert get(answers, path)[0] == 503
    tell(answers)
    assert get(answers, path)[0] == 200


def test_other_address_is_404_and_other_method_405(answers):
    tell(answers)
    assert get(answers, "/api/v1/scans")[0] == 404
    status, headers, _ = get(answers, "/metrics", "POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_head_has_the_length_and_no_body(answers):
    tell(answers)
    status, headers, body = get(answers, "/metrics", "HEAD")
    assert (status, body, int(headers["Content-Length"])) == (200, b"", len(NEWS["metrics"]))
