"""The process that refuses, over real sockets: what it answers, what it passes on, and when it ends."""

import json
import socket
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from service.api.http.limits import MAX_HEADER_BYTES
from service.server.shedding_process import PASSED, RECEIVED_BYTES, REFUSED, REST, SHED, Shedder
from tests.support.waiting import PATIENCE_S, wait_until

SCAN = b"POST /scan HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\ntext=risk"


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def service(request, listener):
    """The service's end of the line to a shedder that runs and sheds, and holds ten connections at most."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE_S)
    patience_s = getattr(request, "param", PATIENCE_S)
    shedder = Shedder(theirs, [listener], most_held=10, patience_s=patience_s)
    runs = threading.Thread(target=shedder.run)
    runs.start()
    ours.send(SHED)
    yield ours
    ours.close()
    runs.join(PATIENCE_S)
    theirs.close()
    assert not runs.is_alive()


@pytest.fixture
def call(listener):
    opened = []

    def connect(*parts):
        caller = socket.create_connection(listener.getsockname(), timeout=PATIENCE_S)
        opened.append(caller)
        for part in parts:
            caller.sendall(part)
        return caller

    yield connect
    for caller in opened:
        caller.close()


def answer_to(caller):
    """Return status, headers and body; the connection has to end with the answer."""
    received = b""
    while some := caller.recv(RECEIVED_BYTES):
        received += some
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


def passed_on(service):
    """Return the next connection that comes from the shedder, with its bytes."""
    while True:
        told, descriptors, _, _ = socket.recv_fds(service, 1 + RECEIVED_BYTES, 1)
        if told[:1] == PASSED:
            return socket.socket(fileno=descriptors[0]), told[1:]


@pytest.mark.usefixtures("service")
def test_request_is_refused_with_a_problem_that_asks_to_come_again(call):
    status, headers, body = answer_to(call(SCAN))
    problem = json.loads(body)
    assert status == problem["status"] == 503
    assert problem["code"] == "overloaded"
    assert headers["Content-Type"] == "application/problem+json"
    assert headers["Connection"] == "close"
    assert int(headers["Retry-After"]) > 0
    assert int(headers["Content-Length"]) == len(body)
    assert headers["X-Request-ID"] == problem["request_id"]


@pytest.mark.usefixtures("service")
def test_request_id_of_the_caller_is_kept_when_harmless(call):
    for offered, is_kept in ((b"trace-0001", True), (b"<script>alert(1)</script>", False)):
        request = SCAN.replace(b"Host:", b"X-Request-ID: " + offered + b"\r\nHost:")
        _, headers, _ = answer_to(call(request))
        assert (headers["X-Request-ID"] == offered.decode()) == is_kept


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "request_head",
    [
        b"POST /scan HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n",
        b"POST /scan HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3d0900\r\n",
    ],
)
def test_answer_arrives_though_the_body_is_long_and_nobody_reads_it(call, request_head):
    caller = call(request_head, b"x" * 4_000_000)
    caller.shutdown(socket.SHUT_WR)
    assert answer_to(caller)[0] == 503


@pytest.mark.usefixtures("service")
def test_head_may_come_in_pieces(call):
    caller = call(SCAN[:20])
    time.sleep(0.05)
    caller.sendall(SCAN[20:])
    assert answer_to(caller)[0] == 503


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("nonsense", [b"\x16\x03\x01 no HTTP\r\n\r\n", b"x" * MAX_HEADER_BYTES])
def test_nonsense_is_refused_too(call, nonsense):
    assert answer_to(call(nonsense))[0] == 503


@pytest.mark.usefixtures("service")
def test_head_request_gets_no_body(call):
    assert answer_to(call(SCAN.replace(b"POST", b"HEAD")))[2] == b""


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("path", [b"/healthzzz", b"/metrics/x", b"/health%2Flive", b"/HEALTH"])
def test_path_that_only_begins_like_a_probe_is_refused(call, path):
    assert answer_to(call(b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"))[0] == 503


def test_health_is_passed_on_with_its_bytes(service, call):
    for path in (b"/health/live", b"/metrics", b"/health?now"):
        request = b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        caller = call(request)
        connection, received = passed_on(service)
        with closing(connection):
            assert received == request
            connection.sendall(b"answered by the service")
        assert caller.recv(100) == b"answered by the service"


def test_what_has_sent_nothing_goes_to_the_service_when_the_rush_is_over(service, call):
    silent, halfway = call(), call(SCAN[:20])
    time.sleep(0.2)
    service.send(REST)
    came = [passed_on(service) for _ in range(2)]
    assert sorted(received for _, received in came) == [b"", SCAN[:20]]
    for connection, received in came:
        with closing(connection):
            connection.sendall(received or b"nothing")
    assert (silent.recv(100), halfway.recv(100)) == (b"nothing", SCAN[:20])


def test_nobody_is_taken_unless_told(service, listener, call):
    service.send(REST)
    time.sleep(0.2)
    call(SCAN)
    listener.settimeout(PATIENCE_S)
    connection, _ = listener.accept()
    with closing(connection):
        assert connection.recv(100) == SCAN


def test_service_is_told_how_many_were_refused(service, call):
    for _ in range(5):
        answer_to(call(SCAN))
    counted = 0
    while counted < 5:
        told = service.recv(100)
        assert told[:1] == REFUSED
        counted += int(told[1:])
    assert counted == 5


@pytest.mark.usefixtures("service")
def test_caller_that_goes_away_harms_nobody(call):
    for part in (b"", SCAN[:20], b"POST /scan HTTP/1.1\r\nContent-Length: 9\r\n\r\n"):
        call(part).close()
    assert answer_to(call(SCAN))[0] == 503


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize("service", [0.1], indirect=True)
def test_slow_callers_are_answered_and_hang_up_in_the_end(call):
    assert answer_to(call(SCAN[:20]))[0] == 503
    assert call().recv(100) == b""


@pytest.mark.usefixtures("service")
def test_longest_waiting_makes_room_for_others(call):
    silent = [call() for _ in range(11)]
    assert silent[0].recv(100) == b""
    assert answer_to(call(SCAN))[0] == 503


def test_descriptors_are_given_back(service, call):
    answer_to(call(SCAN))
    before = n_descriptors()
    for _ in range(20):
        with call(SCAN) as caller:
            answer_to(caller)
    service.send(REST)
    wait_until(lambda: n_descriptors() <= before)


def n_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))
