"""Requests that are malformed as bytes: framing, headers, chunks, and random damage to valid requests."""

import json

from tests.api.test_framing import REFUSED
from tests.e2e.hostile.attempts import Attempt
from tests.e2e.hostile.wire import Pieces, Request, form_body, json_body
from tests.support.sentences import FLOW_TEXT

TOKENS = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b" ",
    b"\t",
    b":",
    b"%00",
    b"%0d%0a",
    b"\xc0\xaf",
    b"Content-Length: -1\r\n",
    b"Content-Length: 99999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Range: bytes=0-1,5-,-9\r\n",
    b"Host: y\r\n",
    b"X: " + b"a" * 70_000,
    b"1e999",
    b"NaN",
    b'"',
    b"{",
    b"[" * 2_000,
    b"--riskscan-hostile",
    "\U0001f535".encode(),
    b"\xef\xbb\xbf",
]
CHUNKS = [
    b"-1\r\n",
    b"0x10\r\n",
    b"ffffffffffffffff\r\n",
    b"ffffffffffffffffffff\r\n",
    b"5\r\nabc",
    b"3\r\nabcdef\r\n",
    b"1;" + b"e=" * 40_000 + b"\r\na\r\n0\r\n\r\n",
    b"g\r\n",
    b"\r\n",
    b" 1\r\na\r\n0\r\n\r\n",
    b"1\na\n0\n\n",
    b"0\r\nX: y\r\nContent-Length: 9\r\n\r\n",
    b"+1\r\na\r\n0\r\n\r\n",
    b"1_0\r\n" + b"a" * 10 + b"\r\n0\r\n\r\n",
    b"0\r\n" + b"T: r\r\n" * 5_000 + b"\r\n",
    b"1\r\n\xff\r\n0\r\n\r\n",
    b'5\r\n{"a":\r\n0\r\n\r\n',
    b"",
]


USER = b"@user@\r\n"
"""Stands for the line with the user's token."""
POST = b"POST /api/v1/scan HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + USER
GET = b"GET /api/v1/scans HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + USER
CHUNKED = POST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
KNOWN = [
    *((f"refused: {n}", b"\r\n".join((line, h, b""))) for n, (line, h) in REFUSED.items()),
    *((f"chunks {c[:12]!r}", CHUNKED + c) for c in CHUNKS),
    ("header of 300 KB", GET + b"X: " + b"a" * 300_000 + b"\r\n\r\n"),
    ("header of 5 MB", GET + b"X: " + b"a" * 5_000_000 + b"\r\n\r\n"),
    ("20,000 headers", GET + b"X: y\r\n" * 20_000 + b"\r\n"),
    ("1,000 headers", GET + b"X: y\r\n" * 1_000 + b"\r\n"),
    ("1,000 cookies", GET + b"Cookie: " + b"riskscan_login=a; " * 1_000 + b"\r\n\r\n"),
    ("two tokens", GET + b"Authorization: Bearer x\r\n\r\n"),
    (
        "two content types",
        POST + b"Content-Type: text/plain\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\n{}",
    ),
    ("NUL in a header", GET + b"X: a\0b\r\n\r\n"),
    ("NUL in a name", GET + b"X\0: a\r\n\r\n"),
    ("bytes in a header", GET + b"X-Request-ID: \xff\xfe\x80\r\n\r\n"),
    ("long request id", GET + b"X-Request-ID: " + b"a" * 5_000 + b"\r\n\r\n"),
    ("line feed in a header", GET + b"X-Request-ID: a%0d%0aSet-Cookie: a=b\r\n\r\n"),
    ("no colon", GET + b"nonsense\r\n\r\n"),
    ("empty name", GET + b": a\r\n\r\n"),
    (
        "path of 100 KB",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ),
    (
        "query of 100 KB",
        b"GET /api/v1/scans?q=" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n" + USER + b"\r\n",
    ),
    (
        "1,000 query fields",
        b"GET /api/v1/scans?" + b"a=b&" * 1_000 + b" HTTP/1.1\r\nHost: x\r\n" + USER + b"\r\n",
    ),
    ("NUL in the path", b"GET /api/v1/\0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    (
        "bytes in the path",
        b"GET /api/v1/\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ),
    ("CONNECT", b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n"),
    ("TRACE", b"TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    ("method of 10 KB", b"A" * 10_000 + b" / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ("lower-case method", b"get /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 500),
    ("nothing", b"\r\n\r\n\r\n"),
    ("zeros", b"\0" * 10_000),
    ("asterisk", b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    ("body shorter than its length", POST + b"Content-Length: 100\r\n\r\n{}"),
    ("length of 20 digits", POST + b"Content-Length: 99999999999999999999\r\n\r\n{}"),
    (
        "host of 10 KB",
        b"GET /health HTTP/1.1\r\nConnection: close\r\nHost: " + b"a" * 10_000 + b"\r\n\r\n",
    ),
    ("range of many parts", GET + b"Range: bytes=" + b"0-0," * 1_000 + b"0-0\r\n\r\n"),
    ("accept of many types", GET + b"Accept: " + b"a/b;q=0.1," * 5_000 + b"c/d\r\n\r\n"),
    ("accept that is broken", GET + b"Accept: ;;q=NaN,/,*/;q=1e999\r\n\r\n"),
    ("encodings", GET + b"Accept-Encoding: gzip;q=1e999, br;q=NaN, *;q=-1\r\n\r\n"),
    (
        "conditions",
        GET + b'If-None-Match: "' + b"a" * 5_000 + b"\r\nIf-Modified-Since: never\r\n\r\n",
    ),
    ("body with a GET", GET + b"Content-Length: 5\r\n\r\nhello"),
]


def framing(world, random):
    """Yield the known cases in turn, mixed with random damage."""
    known = _known(world)
    while True:
        note, data = random.choice(known)
        yield Attempt("framing", "user", Pieces((data,)), note=note)
        for _ in range(2):
            data = _damaged(random.choice(_valid(world)), random)
            yield Attempt("damage", "user", Pieces((data,), method=_method(data)))


def _method(data):
    return "HEAD" if data.startswith(b"HEAD ") else "POST"


def _known(world):
    line = b"Authorization: Bearer " + world.actors["user"].token.encode() + b"\r\n"
    return [(note, data.replace(USER, line)) for note, data in KNOWN]


def _valid(world):
    user = world.actors["user"].bearer
    more, body = json_body({"text": FLOW_TEXT})
    form, upload = form_body({"file": ("a.txt", FLOW_TEXT.encode())})
    key = (("Idempotency-Key", "k" * 8),)
    return [
        Request("GET", "/api/v1/scans?limit=5&q=budget", user).encoded(),
        Request(
            "GET", world.path("/api/v1/documents/<uuid:document_id>/original", "user"), user
        ).encoded(),
        Request("POST", "/api/v1/scan", (*user, *more, *key), body).encoded(),
        Request("POST", "/scan", (*user, *form), upload).encoded(),
        Request(
            "POST",
            world.path("/api/v1/sessions/<uuid:session_id>/files", "user"),
            (*user, *form),
            upload,
        ).encoded(),
        Request(
            "POST",
            "/api/v1/auth/login",
            more,
            json.dumps({"email": "a@b.c", "password": "x"}).encode(),
        ).encoded(),
        Request(
            "GET", "/settings", (("Cookie", f"riskscan_login={world.actors['user'].cookie}"),)
        ).encoded(),
    ]


def _damaged(data, random):
    data = bytearray(data)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(data)) if random.random() < 0.5 else _near_head(data, random)
        to = at + random.randint(1, 12)
        match random.randrange(6):
            case 0:
                data[at] ^= 1 << random.randrange(8)
            case 1:
                del data[at:to]
            case 2:
                data[at:at] = data[at:to]
            case 3 | 4:
                data[at:at] = random.choice(TOKENS)
            case _:
                data = data[:at] if random.random() < 0.3 else data + data[at:to]
        data = data or bytearray(b"\r\n")
    return bytes(data)


def _near_head(data, random):
    """Return a position beside the end of a header line, where the parser decides."""
    ends = [n for n, byte in enumerate(data[:4_000]) if byte in b"\r\n: "]
    return min(random.choice(ends) if ends else 0, len(data) - 1)


def slow(world, random):
    """Yield clients that send a byte at a time and then leave; few, since each takes seconds."""
    user = f"Authorization: Bearer {world.actors['user'].token}\r\n".encode()
    head = b"POST /api/v1/scan HTTP/1.1\r\nHost: x\r\n" + user + b"Content-Length: 900\r\n\r\n"
    while True:
        start = random.choice([b"GET /health HTT", head, b"POST /scan HTTP/1.1\r\nX: "])
        rest = tuple(b"a" for _ in range(15))
        yield Attempt("slow", "user", Pieces((start, *rest), pause_s=0.1))
