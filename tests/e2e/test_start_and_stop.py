"""Start-up, graceful drain, and the errors that stop a start, as an operator sees them."""

import concurrent.futures
import shutil
import socket
import stat
import subprocess
import time

import httpx
import pytest

from service.config.settings import load
from tests.e2e.conftest import ROOT, running_process
from tests.support.calls import HTTP, caller
from tests.support.sentences import FLOW_TEXT, LONG_TEXT, long_text
from tests.support.waiting import PATIENCE_S, wait_until


def log_in(url, email="test@test.com"):
    body = {"email": email, "password": "test123"}
    HTTP.post(f"{url}/api/auth/register", json=body)
    form = {"username": body["email"], "password": body["password"]}
    token = HTTP.post(f"{url}/api/auth/login", data=form).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def scan(process, text):
    return httpx.post(f"{process.url}/scan", json={"text": text}, timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("shared") / "data"


@pytest.fixture(scope="module")
def running(data_dir):
    """A service with default settings; tests do not change it."""
    with running_process(data_dir.parent) as process:
        yield process


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A service that lets nobody register."""
    with running_process(tmp_path_factory.mktemp("closed"), REGISTRATION="closed") as process:
        yield process


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A service that has scanned for a user and ended by SIGTERM, its folder, and the user's headers."""
    folder = tmp_path_factory.mktemp("ended")
    with running_process(folder) as process:
        headers = log_in(process.url)
        HTTP.post(f"{process.url}/api/scan", json={"text": FLOW_TEXT}, headers=headers)
        HTTP.get(f"{process.url}/api/scans", params={"q": "aggressive"}, headers=headers)
        process.terminate()
        assert process.exit_status() == 0
        yield process, folder, headers


def test_start_prints_its_address_and_a_command_to_try(running):
    output = "\n".join(running.lines)
    assert f"http://localhost:{running.port}" in output
    assert f"http://localhost:{running.port}/docs" in output
    assert "curl" in output


def test_printed_command_to_try_works(running):
    line = next(line for line in running.lines if line.startswith("Try:"))
    command = line.removeprefix("Try:").strip()
    answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert '"Budget"' in answer.stdout
    assert '"Schedule"' in answer.stdout


def test_start_with_closed_registration_prints_how_to_create_an_account(closed):
    output = "\n".join(closed.lines)
    assert "users create" in output
    assert "register" not in output


@pytest.mark.usefixtures("running")
def test_printed_account_command_without_an_active_environment_works(closed, tmp_path):
    [command] = [
        line.split(":", 1)[1] for line in closed.lines if line.startswith("Make an account:")
    ]
    environ = {"PATH": "/usr/bin:/bin", "DATA_DIR": str(tmp_path / "data"), "RISKSCAN_ENV_FILE": ""}
    output = subprocess.check_output(
        ["sh", "-c", command], cwd=ROOT, env=environ, input="long enough\n", text=True
    )
    assert "Created admin you@corp.local" in output


def test_development_keys_and_database_are_readable_by_the_owner_only(data_dir):
    for name in ("secret_keys.json", "riskscan.db"):
        mode = (data_dir / name).stat().st_mode
        assert stat.S_IMODE(mode) & 0o077 == 0, name


def test_token_after_a_restart_is_valid(ended):
    _, folder, headers = ended
    with running_process(folder) as process:
        assert HTTP.get(f"{process.url}/api/auth/me", headers=headers).status_code == 200


def test_sigterm_during_a_request_lets_it_finish(start):
    process = start(AI_SERVICE_OPEN="true", INFERENCE_THREADS="1", DRAIN_TIMEOUT_S=str(PATIENCE_S))
    with concurrent.futures.ThreadPoolExecutor(1) as pool, caller(process.url) as kept_alive:
        kept_alive.get("/health").raise_for_status()
        scan = pool.submit(HTTP.post, f"{process.url}/scan", json={"text": LONG_TEXT + FLOW_TEXT})
        process.wait_until_busy()
        process.terminate()
        wait_until(lambda: any("draining after signal" in line for line in process.lines))
        not_ready = kept_alive.get("/health/ready")
        assert not_ready.json()["errors"][0]["field"] == "process"
        with pytest.raises(httpx.ConnectError):
            HTTP.get(f"{process.url}/health")
        assert scan.result().status_code == 200
    assert process.exit_status() == 0


def test_sigterm_after_the_drain_timeout_answers_503_and_ends(start):
    process = start(AI_SERVICE_OPEN="true", DRAIN_TIMEOUT_S="0", INFERENCE_THREADS="1", THREADS="1")
    head = b"POST /scan HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    address = ("127.0.0.1", process.port)
    with (
        concurrent.futures.ThreadPoolExecutor(2) as pool,
        socket.create_connection(address, timeout=PATIENCE_S) as halfway,
    ):
        halfway.sendall(head + b"text=")
        scans = [pool.submit(scan, process, long_text(40_000)) for _ in range(2)]  # one waits
        wait_until(lambda: process.n_clients() == 3)
        process.wait_until_busy(1.0)
        process.terminate()
        terminated_at_s = time.monotonic()
        assert process.exit_status() == 0
        assert time.monotonic() - terminated_at_s < 5  # waitress by itself would wait this long
        for answer in (f.result() for f in scans):
            assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
            assert answer.headers["Connection"] == "close"
        assert halfway.recv(1_000).startswith(b"HTTP/1.1 503 ")
    assert any("DRAIN_TIMEOUT_S: 3" in line for line in process.lines)
    assert not any("ERROR" in line for line in process.lines)


def test_log_contains_no_text_token_or_password(ended):
    process, _, headers = ended
    log = "\n".join(line for line in process.lines if line.startswith("{"))
    assert '"path": "/api/v1/scan"' in log
    for secret in ("aggressive", "test123", headers["Authorization"][7:40]):
        assert secret not in log


def test_altered_model_stops_the_start_and_is_named(start, tmp_path):
    shutil.copytree(load({}).model_dir, tmp_path / "model")
    with (tmp_path / "model" / "tokenizer.json").open("a") as file:
        file.write(" ")
    process = start(ready=False, MODEL_DIR=str(tmp_path / "model"))
    assert process.exit_status() == 1
    assert "tokenizer.json" in process.lines[-1]


def test_port_in_use_stops_the_start_with_a_remedy(start, running):
    second = start(ready=False, PORT=str(running.port))
    assert second.exit_status() == 1
    assert any(line.startswith("riskscan: The service cannot listen") for line in second.lines)
    assert not any("Traceback" in line for line in second.lines)
