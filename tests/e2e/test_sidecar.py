"""OPS_PORT and its sidecar process, which starts and ends with the service."""

import concurrent.futures
import re
import signal
import time

import httpx
import pytest

from tests.e2e.conftest import running_process
from tests.e2e.test_database_away import relay  # noqa: F401 - a fixture
from tests.support.calls import HTTP
from tests.support.free_ports import free_port
from tests.support.sentences import FLOW_TEXT, LONG_TEXT
from tests.support.waiting import PATIENCE_S, wait_until


def ops_url(port, path):
    return f"http://127.0.0.1:{port}{path}"


def wait_for(port, path, status=200):
    """Poll until the response has this status; return it."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            answer = HTTP.get(ops_url(port, path))
        except httpx.TransportError:
            answer = None
        if answer is not None and answer.status_code == status:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"{path} never answered {status}")


@pytest.fixture(scope="module")
def ops_port():
    return free_port()


@pytest.fixture(scope="module")
def running(tmp_path_factory, ops_port):
    settings = {"AI_SERVICE_OPEN": "true", "INFERENCE_THREADS": "1", "OPS_PORT": str(ops_port)}
    with running_process(tmp_path_factory.mktemp("ops"), **settings) as process:
        yield process


def n_scans(ops_port):
    text = wait_for(ops_port, "/metrics").text
    return int(re.search(r'^riskscan_scans_total{source="model"} (\d+)', text, re.MULTILINE)[1])


def test_ops_port_serves_only_health_and_metrics(running, ops_port):
    assert wait_for(ops_port, "/health").json()["status"] == "ok"
    ready = wait_for(ops_port, "/health/ready").json()
    assert ready["status"] == "ready"
    assert 0 <= ready["age_s"] < PATIENCE_S
    assert HTTP.get(ops_url(ops_port, "/api/scans")).json()["code"] == "not_found"
    assert HTTP.post(ops_url(ops_port, "/health")).status_code == 405
    assert HTTP.get(f"{running.url}/metrics").json()["code"] == "not_found"


def test_scan_appears_in_the_metrics_of_the_ops_port(running, ops_port):
    before = n_scans(ops_port)
    body = {"text": FLOW_TEXT}
    assert HTTP.post(f"{running.url}/scan", json=body).status_code == 200
    wait_until(lambda: n_scans(ops_port) == before + 1)


def test_environment_of_the_sidecar_is_empty(running, ops_port):
    wait_for(ops_port, "/health")
    assert running.child("sidecar_process").environ() == {}


def test_sidecar_after_its_death_is_restarted(running, ops_port):
    wait_for(ops_port, "/health")
    first = running.child("sidecar_process")
    first.kill()
    first.wait(PATIENCE_S)
    assert wait_for(ops_port, "/metrics").text.count("riskscan_ready 1.0") == 1
    assert running.child("sidecar_process").pid != first.pid


def test_ops_port_answers_while_every_thread_scans(start):
    port = free_port()
    settings = {"THREADS": "1", "INFERENCE_THREADS": "1", "OPS_PORT": str(port)}
    process = start(AI_SERVICE_OPEN="true", **settings)
    wait_for(port, "/health/ready")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        scan = pool.submit(HTTP.post, f"{process.url}/scan", json={"text": LONG_TEXT})
        process.wait_until_busy()
        for path in ("/health", "/health/live", "/health/ready", "/metrics"):
            assert HTTP.get(ops_url(port, path)).status_code == 200
        assert not scan.done()
        assert scan.result().status_code == 200


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_sidecar_ends_with_the_service(start, number):
    port = free_port()
    process = start(OPS_PORT=str(port))
    wait_for(port, "/health")
    child = process.child("sidecar_process")
    process.send_signal(number)
    child.wait(PATIENCE_S)
    process.exit_status()  # the service holds the socket of OPS_PORT too
    with pytest.raises(httpx.ConnectError):
        HTTP.get(ops_url(port, "/health"))


@pytest.mark.usefixtures("running")
def test_ops_port_in_use_stops_the_start_with_a_remedy(start, ops_port):
    second = start(ready=False, OPS_PORT=str(ops_port))
    assert second.exit_status() == 1
    assert any(str(ops_port) in line and "OPS_PORT" in line for line in second.lines)
    assert not any("Traceback" in line for line in second.lines)
    assert wait_for(ops_port, "/health")


def test_ops_port_during_a_database_outage_answers(start, relay):  # noqa: F811
    port = free_port()
    start(DATABASE_URL=relay.url, OPS_PORT=str(port))
    wait_for(port, "/health/ready")
    relay.cut()
    away = wait_for(port, "/health/ready", status=503)
    assert away.json()["errors"][0]["field"] == "database"
    assert HTTP.get(ops_url(port, "/health/live")).status_code == 200
    wait_for(port, "/metrics")
    relay.open()
    wait_for(port, "/health/ready")
