"""Many and slow connections without a proxy in front, and the limit of open files."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.conftest import running_process
from tests.e2e.crowd import Crowd
from tests.support.calls import HTTP
from tests.support.free_ports import free_port
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import PATIENCE_S, wait_until

BIG = "/docs/assets/swagger-ui-bundle.js"  # 1.7 MB
A_HEADER = b"POST /scan HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n"


def answers(url, timeout_s, path="/health/live"):
    try:
        return HTTP.get(url + path, timeout=timeout_s).status_code == 200
    except httpx.TimeoutException:
        return False


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    """A service with two threads."""
    settings = {"AI_SERVICE_OPEN": "true", "THREADS": "2"}
    with running_process(tmp_path_factory.mktemp("connections"), **settings) as process:
        yield process


def test_slow_clients_within_the_limit_do_not_block_others(process):
    with Crowd(process.port) as crowd:
        crowd.readers(50, BIG)
        crowd.writers(50, A_HEADER)
        crowd.idle(1_500)
        for _ in range(10):
            answer = HTTP.post(f"{process.url}/scan", json={"text": FLOW_TEXT}, timeout=15)
            assert answer.status_code == 200
        assert process.n_clients() >= 1_500


def test_connection_beyond_the_limit_waits_until_another_closes(start):
    ops_port = free_port()
    process = start(CONNECTION_LIMIT="100", OPS_PORT=str(ops_port))
    with ThreadPoolExecutor(1) as pool:
        with Crowd(process.port) as crowd:
            crowd.idle(110)
            wait_until(lambda: process.n_clients() >= 90)
            late = pool.submit(answers, process.url, PATIENCE_S, "/openapi.json")
            wait_until(lambda: answers(f"http://127.0.0.1:{ops_port}", 15))
            assert not late.done()
        assert late.result()


def test_slow_readers_of_large_responses_block_no_thread(process):
    with Crowd(process.port) as crowd:
        crowd.readers(3, BIG, times=25)  # 42 MB each, far more than the kernel buffers
        for _ in range(5):
            assert answers(process.url, PATIENCE_S, "/openapi.json")


def test_low_soft_limit_of_open_files_is_raised(start):
    process = start(ulimit="-S -n 800")
    assert not [line for line in process.lines if "CONNECTION_LIMIT" in line]
    with Crowd(process.port) as crowd:
        crowd.idle(1_000)
        assert answers(process.url, PATIENCE_S)


def test_low_limit_of_open_files_is_logged_and_lowers_the_connection_limit(start):
    process = start(ulimit="-n 600")
    [warning] = [line for line in process.lines if "CONNECTION_LIMIT" in line]
    assert '"level": "WARNING"' in warning
    assert "600" in warning
    with Crowd(process.port) as crowd:
        crowd.idle(300)
        wait_until(lambda: any("reached the connection limit" in line for line in process.lines))
    wait_until(lambda: answers(process.url, 15, "/openapi.json"))


def test_too_low_limit_of_open_files_stops_the_start_with_a_remedy(start):
    process = start(ready=False, ulimit="-n 150")
    assert process.exit_status() == 1
    assert "ulimit" in process.lines[-1]
