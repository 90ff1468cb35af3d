"""The service behind nginx with the shipped site: slow clients, limits, error documents, logs."""

import concurrent.futures
import json
import os
import socket

import httpx
import pytest

from service.api.http.problem_document import MEDIA_TYPE
from tests.e2e.conftest import Process, running_process
from tests.e2e.crowd import Crowd, is_open
from tests.e2e.nginx import NEIGHBOUR, Nginx, program
from tests.support.free_ports import free_port
from tests.support.sentences import FLOW_TEXT, LONG_TEXT
from tests.support.waiting import PATIENCE_S, wait_until

ATTACKER, OTHER = "127.0.0.2", "127.0.0.3"
BIG = "/docs/assets/swagger-ui-bundle.js"  # 1.7 MB
HALF_A_HEADER = b"POST /scan HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
A_HEADER = b"POST /scan HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n"
NEW_CONNECTION = {"Connection": "close"}
KEPT_ALIVE = (
    64 * os.cpu_count()
)  # idle connections that the upstream keeps, in all worker processes
SETTINGS = {
    "AI_SERVICE_OPEN": "true",
    "TRUSTED_PROXY": "127.0.0.1",
    "LOGIN_RATE_LIMIT": "3 per hour",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    program()
    with running_process(tmp_path_factory.mktemp("service"), **SETTINGS) as process:
        yield process


@pytest.fixture(scope="module")
def nginx(service, tmp_path_factory):
    server = Nginx(tmp_path_factory.mktemp("nginx"), service.port, port=free_port())
    try:
        yield server.when_ready()
    finally:
        server.stop()


@pytest.fixture
def other(nginx):
    """A client at another address than the attacker's."""
    with nginx.caller(OTHER) as http:
        yield http


@pytest.fixture
def crowd(nginx):
    with Crowd(nginx.port, address=ATTACKER, tls=nginx.tls) as clients:
        yield clients


def scan(http, text=FLOW_TEXT, **options):
    return http.post("/scan", json={"text": text}, **options)


def test_slow_clients_do_not_block_the_scans_of_others(service, crowd, other):
    crowd.readers(50, BIG, times=8)
    crowd.writers(50, A_HEADER)
    slow_headers = crowd.writers(50, HALF_A_HEADER)
    idle = crowd.idle(1_500)
    assert all(map(is_open, idle))
    for _ in range(10):
        assert scan(other, headers=NEW_CONNECTION, timeout=15).status_code == 200
    # None of them reaches the service: nginx holds the slow connections.
    wait_until(lambda: service.n_clients() <= KEPT_ALIVE)
    wait_until(lambda: not any(map(is_open, slow_headers + idle)))


def test_too_many_requests_from_one_address_are_429_for_it_alone(crowd, nginx, other):
    crowd.writers(144, A_HEADER)  # sixteen more than limit_conn allows
    with nginx.caller(ATTACKER) as http:
        wait_until(lambda: scan(http).status_code != 200)  # nginx has received them all
        answer = scan(http)
    assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert int(answer.headers["Retry-After"]) > 0
    assert scan(other).status_code == 200


def log_in(http, **headers):
    form = {"username": "nobody@corp.local", "password": "long enough"}
    return http.post("/api/auth/login", data=form, headers=headers).status_code


def test_forged_client_address_is_ignored(service, nginx):
    with nginx.caller("127.0.0.11") as http:
        claims = [{"X-Forwarded-For": f"192.0.2.{n}"} for n in range(3)]
        assert [log_in(http, **claim) for claim in claims] == [401, 401, 401]
        assert log_in(http, **{"X-Forwarded-For": "192.0.2.9"}) == 429
    with nginx.caller("127.0.0.12") as http:
        assert log_in(http) == 401
    # A client that reaches the port without the proxy counts under its own address.
    with nginx.caller("127.0.0.13") as http:
        direct = f"http://127.0.0.1:{service.port}"
        claims = [{"X-Forwarded-For": f"192.0.2.{n}"} for n in range(4)]
        http.base_url = direct
        assert [log_in(http, **claim) for claim in claims] == [401, 401, 401, 429]


def test_body_over_the_limit_is_a_413_problem(other):
    answer = other.post("/scan", content=b"x" * 30_065_537)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert answer.headers["Content-Type"] == MEDIA_TYPE
    assert answer.json()["request_id"] == answer.headers["X-Request-ID"]
    passed_on = other.post("/scan", content=b"x" * 1_000_000, headers={"Content-Type": "text/csv"})
    assert passed_on.json()["code"] == "unsupported_media_type"  # from the service


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /not%found HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"rubbish\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 9_000 + b"\r\n\r\n", 413),
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 413),
        (b"POST /scan HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: odd\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"GET /problems/too_large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
    ],
)
def test_error_from_nginx_itself_is_a_problem(nginx, request_bytes, status):
    plain = socket.create_connection(("127.0.0.1", nginx.port), PATIENCE_S)
    with nginx.tls.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
        connection.sendall(request_bytes)  # one TLS record: unread bytes would reset the connection
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    problem = json.loads(body)
    assert (int(head.split()[1]), problem["status"]) == (status, status)
    assert f"Content-Type: {MEDIA_TYPE}".encode() in head
    assert f"X-Request-ID: {problem['request_id']}".encode() in head


def test_site_beside_another_on_the_machine_leaves_it_reachable(nginx, other):
    tls = nginx.tls.wrap_socket(
        socket.create_connection(("127.0.0.1", nginx.port), PATIENCE_S), server_hostname="127.0.0.1"
    )
    with tls as connection:
        connection.sendall(f"GET / HTTP/1.0\r\nHost: {NEIGHBOUR}\r\n\r\n".encode())
        assert b"another site" in b"".join(iter(lambda: connection.recv(65536), b""))
    assert other.get("/health").json()["status"] == "ok"


@pytest.mark.parametrize("path", ["/health", "/metrics", "/api/scans"])
def test_response_has_the_hsts_header(other, path):
    assert other.get(path).headers["Strict-Transport-Security"] == "max-age=31536000"


def test_request_id_is_the_same_in_both_logs_and_the_response(service, nginx, other):
    sent = {"X-Request-ID": "trace-0123456789"}
    assert (
        other.get("/health?q=a+tight+budget", headers=sent).headers["X-Request-ID"]
        == "trace-0123456789"
    )
    generated = other.get("/health", headers={"X-Request-ID": "a b"}).headers["X-Request-ID"]
    assert len(generated) == 32
    for request_id in ("trace-0123456789", generated):
        wait_until(lambda id_=request_id: any(id_ in line for line in nginx.access_log()))
        wait_until(lambda id_=request_id: any(id_ in line for line in service.lines))
    assert not any("budget" in line for line in nginx.access_log())


def test_client_that_hangs_up_leaves_no_connection_or_error(service, nginx, other):
    impatient = httpx.Timeout(PATIENCE_S, read=0.5)
    with nginx.caller(ATTACKER, timeout=impatient) as http, pytest.raises(httpx.ReadTimeout):
        scan(http, LONG_TEXT)
    assert scan(other).status_code == 200
    wait_until(lambda: any('"status": 499' in line for line in nginx.access_log()))
    wait_until(lambda: service.n_clients() <= KEPT_ALIVE)
    assert not [line for line in service.lines if '"level": "ERROR"' in line]


def test_sigterm_during_a_request_through_nginx_lets_it_finish(tmp_path):
    program()
    process = Process(tmp_path / "data", INFERENCE_THREADS="1", DRAIN_TIMEOUT_S="120", **SETTINGS)
    server = None
    try:
        process.when_ready()
        server = Nginx(tmp_path, process.port, port=free_port()).when_ready()
        with server.caller() as http, concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(scan, http, LONG_TEXT)
            process.wait_until_busy()
            process.terminate()
            assert answer.result().status_code == 200
            assert process.exit_status() == 0
            away = http.get("/health")
        assert (away.status_code, away.json()["code"]) == (503, "overloaded")
        assert int(away.headers["Retry-After"]) > 0
    finally:
        process.kill()
        if server:
            server.stop()
