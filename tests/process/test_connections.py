"""What the service holds by itself, without a proxy, and what it does not."""

import time

import httpx

from tests.calls import HTTP, PATIENCE_S
from tests.process.conftest import free_port
from tests.process.crowd import Crowd
from tests.sentences import FLOW_TEXT

BIG = "/docs/assets/swagger-ui-bundle.js"  # 1.7 MB
A_HEADER = b"POST /scan HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n"


def answers(url, timeout_s):
    try:
        return HTTP.get(f"{url}/health/live", timeout=timeout_s).status_code == 200
    except httpx.TimeoutException:
        return False


def test_crowd_within_the_limit_does_not_stop_others(start):
    process = start(AI_SERVICE_OPEN="true")
    with Crowd(process.port) as crowd:
        crowd.readers(50, BIG)
        crowd.writers(50, A_HEADER)
        crowd.idle(1_500)
        for _ in range(10):
            answer = HTTP.post(f"{process.url}/scan", json={"text": FLOW_TEXT}, timeout=15)
            assert answer.status_code == 200
        assert process.n_clients() >= 1_600


def test_crowd_beyond_the_limit_makes_others_wait_but_not_the_ops_port(start):
    ops_port = free_port()
    process = start(CONNECTION_LIMIT="100", OPS_PORT=str(ops_port))
    with Crowd(process.port) as crowd:
        crowd.idle(90)
        assert answers(process.url, 15)
        crowd.idle(20)
        assert not answers(process.url, 2)
        assert answers(f"http://127.0.0.1:{ops_port}", 15)
    assert answers(process.url, 15)  # as soon as they have hung up


def test_slow_readers_of_many_answers_hold_every_thread(start):
    process = start(THREADS="2")
    with Crowd(process.port) as crowd:
        crowd.readers(2, BIG, times=25)  # beyond the 16 MiB that waitress keeps for a connection
        deadline = time.monotonic() + PATIENCE_S
        while answers(process.url, 5):
            assert time.monotonic() < deadline
    assert answers(process.url, 15)


def test_soft_limit_of_files_is_raised_by_itself(start):
    process = start(ulimit="-S -n 800")
    assert not [line for line in process.lines if "CONNECTION_LIMIT" in line]
    with Crowd(process.port) as crowd:
        crowd.idle(1_000)
        assert answers(process.url, 15)


def test_too_few_files_are_told_and_fewer_connections_held(start):
    process = start(ulimit="-n 800")
    [warning] = [line for line in process.lines if "CONNECTION_LIMIT" in line]
    assert '"level": "WARNING"' in warning
    assert "800" in warning
    with Crowd(process.port) as crowd:
        crowd.idle(300)
        assert not answers(process.url, 2)
    assert answers(process.url, 15)


def test_hardly_any_files_stop_the_start_with_a_remedy(start):
    process = start(ready=False, ulimit="-n 150")
    assert process.exit_status() == 1
    assert "ulimit" in process.lines[-1]
