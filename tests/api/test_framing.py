"""Requests with an ambiguous end are rejected, and the connection closes."""

import socket
import time

import pytest

from tests.support.waiting import PATIENCE_S

SECOND = b"GET /health HTTP/1.1\r\nHost: x\r\nX-Request-ID: second-request\r\n\r\n"
LENGTH, CHUNKED = b"Content-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n"
REFUSED = {
    "length and encoding": (b"POST /health HTTP/1.1", b"Host: x\r\n" + LENGTH + CHUNKED),
    "encoding twice": (
        b"POST /health HTTP/1.1",
        b"Host: x\r\nTransfer-Encoding: chunked, chunked\r\n",
    ),
    "encoding in two lines": (b"POST /health HTTP/1.1", b"Host: x\r\n" + CHUNKED + CHUNKED),
    "another encoding": (
        b"POST /health HTTP/1.1",
        b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n",
    ),
    "encoding in 1.0": (b"POST /health HTTP/1.0", b"Connection: keep-alive\r\n" + CHUNKED),
    "two lengths": (b"POST /health HTTP/1.1", b"Host: x\r\n" + LENGTH + b"Content-Length: 0\r\n"),
    "equal lengths": (b"POST /health HTTP/1.1", b"Host: x\r\n" + LENGTH + LENGTH),
    "length in a list": (b"POST /health HTTP/1.1", b"Host: x\r\nContent-Length: 6, 6\r\n"),
    "signed length": (b"POST /health HTTP/1.1", b"Host: x\r\nContent-Length: +6\r\n"),
    "endless length": (
        b"POST /health HTTP/1.1",
        b"Host: x\r\nContent-Length: %s\r\n" % (b"1" * 5_000),
    ),
    "space before a colon": (b"POST /health HTTP/1.1", b"Host: x\r\nContent-Length : 6\r\n"),
    "folded header": (b"POST /health HTTP/1.1", b"Host: x\r\nX-A: 1\r\n" + b" " + LENGTH),
    "folded encoding": (b"POST /health HTTP/1.1", b"Host: x\r\nTransfer-Encoding:\r\n chunked\r\n"),
    "bare line feed": (b"GET /health HTTP/1.1", b"Host: x\r\nX-A: 1\nContent-Length: 6\r\n"),
    "no host": (b"GET /health HTTP/1.1", b"Accept: */*\r\n"),
    "two hosts": (b"GET /health HTTP/1.1", b"Host: x\r\nHost: y\r\n"),
    "host with a path": (b"GET /health HTTP/1.1", b"Host: x/y\r\n"),
    "no version": (b"GET /health", b"Host: x\r\n"),
    "odd version": (b"GET /health HTTP/1.x", b"Host: x\r\n"),
    "two spaces": (b"GET  /health HTTP/1.1", b"Host: x\r\n"),
}


def all_of(live, *parts):
    """Send the parts; return everything received until the service closes the connection."""
    host, port = live.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        for part in parts:
            connection.sendall(part)
        return b"".join(iter(lambda: connection.recv(65_536), b"")).decode("latin-1")


@pytest.mark.parametrize(("line", "headers"), REFUSED.values(), ids=REFUSED)
def test_frame_ambiguous_is_rejected_and_the_rest_ignored(live, line, headers):
    answer = all_of(live, line + b"\r\n" + headers + b"\r\n" + b"0\r\n\r\n" + SECOND)
    assert answer.split()[1] == "400"
    assert "Connection: close" in answer
    assert '"code": "invalid_request"' in answer
    assert "second-request" not in answer


@pytest.mark.parametrize("version", [b"9.9", b"0.9", b"1.2", b"2.0"])
def test_http_version_unsupported_is_505(live, version):
    answer = all_of(live, b"GET /health HTTP/" + version + b"\r\nHost: x\r\n\r\n" + SECOND)
    assert answer.split()[1] == "505"
    assert '"code": "unsupported_http_version"' in answer
    assert "Connection: close" in answer
    assert "second-request" not in answer


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (
            b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n",
            b"1\r\na\r\n0\r\n\r\n",
        ),
        (b"POST /health HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length:\t1 \r\n", b"a"),
        (b"POST /health HTTP/1.1\r\nHost:\r\nContent-Length: 0\r\n", b""),
        (b"POST /health HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n", b"a"),
    ],
)
def test_frame_unambiguous_is_served_and_so_is_the_next_request(live, head, body):
    last = SECOND.replace(b"Host: x", b"Host: x\r\nConnection: close")
    answer = all_of(live, head + b"\r\n" + body + last)
    assert [answer.split()[1], "second-request" in answer] == ["405", True]


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (b"\t" * 30_000 + b"a", "200"),
        (b"a" + b" " * 30_000, "200"),
        (b"a" + b" " * 30_000 + b"b", "200"),
        (b"a" + b" " * 30_000 + b"\x7f", "400"),
        (b" " * 30_000 + b"\x7f", "400"),
        (b"a " * 15_000 + b"\x7f", "400"),
    ],
    ids=["before", "after", "within", "invalid end", "only invalid", "many runs"],
)
def test_white_space_of_a_header_is_read_in_linear_time(live, value, status):
    head = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-A:" + value
    start = time.process_time()
    assert all_of(live, head + b"\r\n\r\n").split()[1] == status
    assert time.process_time() - start < 1  # 2 to 5 s in quadratic time


@pytest.mark.parametrize("beginning", [b"1" * 40_000, b"0\r\nX: " + b"a" * 100_000])
def test_chunk_line_or_trailer_without_end_is_rejected(live, beginning):
    head = b"POST /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert all_of(live, head, beginning).split()[1] == "400"


def test_rejected_client_that_keeps_sending_gets_the_whole_response(live):
    head = b"POST /scan HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"
    answer = all_of(live, head, *[b"x" * 65_536] * 160)
    assert answer.split()[1] == "413"
    assert answer.endswith("}")
