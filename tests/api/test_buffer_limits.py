"""Memory for large bodies and unread responses is bounded; one user gets at most half of it."""

import http.client
import re
import socket
import time
from contextlib import ExitStack, closing, suppress
from functools import partial

import pytest
from waitress.channel import HTTPChannel

from tests.api.conftest import User
from tests.api.test_large_bodies import EXPECT, bearer, head
from tests.support.calls import caller
from tests.support.waiting import PATIENCE_S, wait_until

BIG = b"/docs/assets/swagger-ui-bundle.js"  # 1.7 MB
BODY_BYTES = 900_000


@pytest.fixture(scope="module")
def small(start_service):
    """A service with 2 MiB for bodies and 2 MiB for responses."""
    return start_service(BUFFER_MEMORY_BYTES="2097152")


@pytest.fixture
def users(small):
    with caller(small.url) as client:
        two = [User(client), User(client)]
        yield two
        for user in two:
            user.http.close()


@pytest.fixture
def connect(small):
    """Open connections for which the system buffers little: small packets, and a small receive buffer."""
    with ExitStack() as stack:

        def connect(request):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
            connection.settimeout(PATIENCE_S)
            host, port = small.url.removeprefix("http://").split(":")
            connection.connect((host, int(port)))
            connection.sendall(request)
            return connection

        yield connect


def announced(user):
    """The head of a large request; the service responds to it before the body arrives."""
    return head("/api/scan", bearer(user.tokens["access_token"]), EXPECT, length=BODY_BYTES)


def when_taken(connect, request):
    """Send the request until it is accepted: connections of earlier tests may still be closing."""
    opened = []

    def is_taken():
        opened.append(connect(request))
        return b" 503 " not in opened[-1].recv(100)

    wait_until(is_taken)
    return opened[-1]


def is_refused(connect, request):
    """Whether the request gets 503; its connection closes, or an unread response would fill memory, too."""
    with connect(request) as probe:
        return b" 503 " in probe.recv(100)


def test_bodies_of_one_user_beyond_half_are_rejected_and_others_accepted(users, connect):
    one, other = users
    when_taken(connect, announced(one))
    rejection = connect(announced(one)).recv(1_000)
    assert rejection.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: " in rejection
    when_taken(connect, announced(other))
    assert one.scan().status_code == 201  # a small one needs no room


def test_body_of_a_closed_connection_frees_its_memory(users, connect):
    when_taken(connect, announced(users[0])).close()
    when_taken(connect, announced(users[0]))


def test_body_after_its_response_frees_its_memory(users, connect):
    when_taken(connect, announced(users[0])).close()
    for _ in range(4):
        answer = users[1].http.post(
            "/api/scan", files={"file": ("a.txt", b" " * BODY_BYTES + b"a")}
        )
        assert answer.status_code == 201


def test_responses_unread_beyond_the_budget_are_replaced_by_503(connect):
    connection = connect(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % BIG * 40)
    received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    *whole, last = re.split(rb"(?=HTTP/1\.1 \d\d\d )", received)[1:]
    assert 1 <= len(whole) < 40
    assert {len(answer) for answer in whole} == {len(whole[0])}
    assert last.startswith(b"HTTP/1.1 503 ")
    assert b"BUFFER_MEMORY_BYTES" in last
    assert last.endswith(b"}")


def test_response_unread_of_a_closed_connection_frees_its_memory(connect):
    asked = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % BIG
    unread = []

    def is_full():
        if is_refused(connect, asked):
            return True
        # The system's own buffers may take a whole response, so one connection is not always enough.
        unread.append(connect(asked * 40))
        time.sleep(0.1)
        return False

    wait_until(is_full)
    for connection in unread:
        connection.close()
    when_taken(connect, asked)


@pytest.fixture
def connections(monkeypatch):
    """The service's connections by their clients' ports, as they are opened."""
    by_port = {}
    begin = HTTPChannel.__init__

    def recording(self, server, sock, addr, *rest, **named):
        begin(self, server, sock, addr, *rest, **named)
        by_port[addr[1]] = self

    monkeypatch.setattr(HTTPChannel, "__init__", recording)
    return by_port


def kept_bytes(connection):
    """Return how many sent bytes the buffers of a connection still hold."""
    files = [b.buf.file for b in [*connection.outbufs] if getattr(b, "buf", None)]
    with suppress(ValueError):  # the server closes a file that it has sent
        return sum(file.tell() for file in files)
    return 0


LAST_CHUNK = b"\r\n0\r\n\r\n"
LONG_STREAM = "/api/v1/reports?format=sarif&created_from=2020-01-01"


def store_findings(user):
    """Store as many findings as make LONG_STREAM 1.2 MB long."""
    text = "\n\n".join(f"Project {n} has tight budget and aggressive deadline" for n in range(20))
    for _ in range(40):  # pieces over 64 kB would have buffers of their own
        user.http.post("/api/v1/scan", data={"text": text}).raise_for_status()


def test_streamed_response_is_not_kept_after_it_is_sent(client, user, connections):
    store_findings(user)
    place, most, n_bytes = client.base_url, 0, 0
    with closing(http.client.HTTPConnection(place.host, place.port, PATIENCE_S)) as connection:
        connection.request("GET", LONG_STREAM, headers=user.http.headers)
        port = connection.sock.getsockname()[1]
        response = connection.getresponse()
        ours = connections[port]
        while block := response.read(65_536):
            n_bytes += len(block)
            most = max(most, kept_bytes(ours))
    assert n_bytes > 1_200_000
    assert most < 600_000


def test_second_stream_that_a_user_does_not_read_ends_early(users, connect, connections):
    user, other = users
    store_findings(user)
    token = bearer(user.tokens["access_token"])
    asked = f"GET {LONG_STREAM} HTTP/1.1\r\nHost: x\r\n{token}\r\n\r\n".encode()
    unread = connect(asked)
    first = unread.recv(1)
    ours = connections[unread.getsockname()[1]]
    wait_until(lambda: ours.total_outbufs_len and not ours.requests)
    second = connect(asked)
    late = second.recv(1)
    theirs = connections[second.getsockname()[1]]
    wait_until(lambda: theirs.close_when_flushed or not theirs.connected)
    late += b"".join(iter(partial(second.recv, 65_536), b""))
    assert late.startswith(b"HTTP/1.1 200 ")
    assert not late.endswith(LAST_CHUNK)
    assert other.scan().status_code == 201
    while not first.endswith(LAST_CHUNK):
        first += unread.recv(65_536)
    assert len(first) > 1_200_000
