"""The sidecar process answers from the last snapshot, and with 503 when snapshots stop."""

import io
import json
from wsgiref.util import setup_testing_defaults

import pytest

from service.api.http.limits import PROBE_PATHS
from service.server.sidecar_process import SILENT_S, SidecarApp

SNAPSHOT = {
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
def app(clock):
    return SidecarApp(clock)


def send(app, **changes):
    app.receive(json.dumps({**SNAPSHOT, **changes}).encode() + b"\n")


def get(app, path, method="GET"):
    """Return status, headers and body."""
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "wsgi.input": io.BytesIO()}
    setup_testing_defaults(environ)
    started = []
    body = b"".join(app(environ, lambda status, headers: started.append((status, headers))))
    [(status, headers)] = started
    return int(status[:3]), dict(headers), body


@pytest.mark.parametrize("path", PROBE_PATHS)
def test_probe_before_the_first_snapshot_is_503(app, path):
    status, headers, body = get(app, path)
    assert (status, json.loads(body)["code"]) == (503, "not_ready")
    assert int(headers["Retry-After"]) > 0


def test_probes_after_a_snapshot_answer_from_it(app, clock):
    send(app)
    clock.now_s += 0.25
    assert json.loads(get(app, "/health/live")[2])["status"] == "ok"
    ready = json.loads(get(app, "/health/ready")[2])
    assert ready == {**SNAPSHOT["ready"], "age_s": 0.75}
    status, headers, body = get(app, "/metrics")
    assert (status, body.decode()) == (200, SNAPSHOT["metrics"])
    assert headers["Content-Type"] == SNAPSHOT["media_type"]


def test_metrics_after_a_snapshot_without_metrics_stay(app):
    send(app)
    app.receive(json.dumps({"ready": SNAPSHOT["ready"], "faults": []}).encode())
    assert get(app, "/metrics")[2].decode() == SNAPSHOT["metrics"]


def test_ready_with_faults_is_503_while_live_is_200(app):
    send(app, faults=[["database", "It is away."]])
    status, headers, body = get(app, "/health/ready")
    problem = json.loads(body)
    assert (status, problem["detail"]) == (503, "It is away.")
    assert problem["errors"] == [{"field": "database", "message": "It is away."}]
    assert problem["request_id"] == headers["X-Request-ID"]
    assert get(app, "/health/live")[0] == 200


@pytest.mark.parametrize("path", PROBE_PATHS)
def test_probe_when_snapshots_stop_is_503_until_the_next(app, clock, path):
    send(app)
    clock.now_s += SILENT_S + 0.1
    assert get(app, path)[0] == 503
    send(app)
    assert get(app, path)[0] == 200


def test_other_path_is_404_and_other_method_405(app):
    send(app)
    assert get(app, "/api/v1/scans")[0] == 404
    status, headers, _ = get(app, "/metrics", "POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_head_has_length_and_no_body(app):
    send(app)
    status, headers, body = get(app, "/metrics", "HEAD")
    assert (status, body, int(headers["Content-Length"])) == (200, b"", len(SNAPSHOT["metrics"]))
