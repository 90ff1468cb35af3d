"""Bodies, queries and files that are well framed and hostile inside."""

import gzip
import json
import re
import zlib

from tests.api.test_permissions import TABLE, TO_OWN_FORMS
from tests.e2e.hostile.attempts import Attempt
from tests.e2e.hostile.wire import BOUNDARY, Request, form_body
from tests.support import documents
from tests.support.hostile_files import HOSTILE

ENDS_A_LOGIN = {"/api/v1/auth/logout", "/api/v1/auth/password", "/logout"}
WITH_BODY = [
    r
    for r, access in TABLE.items()
    if r[0] in {"POST", "PUT", "PATCH"} and r[1] not in ENDS_A_LOGIN and access != TO_OWN_FORMS
]
READABLE = [r for r in TABLE if r[0] == "GET" and "sso" not in r[1]]
VALUES = [
    "1e999",
    "-1e999",
    "NaN",
    "Infinity",
    "1" * 5_000,
    "-0",
    "1e-999",
    "1.0000000000000001",
    "null",
    "true",
    "{}",
    "[]",
    '""',
    '"\\u0000"',
    '"\\ud800"',
    '"\\udfff\\ud800"',
    '"\\uffff\\u202e"',
    '"\U0001f535"',
    f'"{"a" * 60_000}"',
    "[" * 100_000,
    "[" * 5_000 + "]" * 5_000,
    '{"a":' * 5_000 + "1" + "}" * 5_000,
    '"\'; DROP TABLE users; --"',
    '"../../../etc/passwd"',
    '"file:///etc/passwd"',
    '"http://169.254.169.254/"',
    '"{{7*7}}${7*7}%n%s"',
    "[1,2",
    "\u00ff",
    '"0000-00-00T00:00:00Z"',
    '"9999-12-31T23:59:59+99:99"',
    '"00000000-0000-0000-0000-000000000000"',
    '"\\r\\nSet-Cookie: a=b"',
    '"a@b"',
    '"<script>alert(1)</script>"',
    '"2001:db8::/129"',
    '"256.1.1.1"',
    "9223372036854775808",
    "-1",
    "0",
    "2147483648",
]
BOMB = gzip.compress(b"\0" * 20_000_000)
FIELDS = (
    "text",
    "name",
    "email",
    "password",
    "role",
    "verdict",
    "comment",
    "risk_types",
    "start",
    "end",
    "context",
    "scopes",
    "network",
    "reason",
    "model",
    "expires_at",
    "is_disabled",
    "store_text",
    "language",
    "sensitivity",
    "force_llm",
    "expires_in_days",
    "refresh_token",
    "token",
    "threshold",
    "share",
    "version",
)
TYPES = [
    "application/json",
    "application/json; charset=utf-16",
    "application/json; charset=utf-7",
    "application/json; charset=x" * 9,
    "application/json; charset=\u00ff",
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/xml",
    "",
    "/",
    "a" * 9_000,
    "multipart/form-data",
    f"multipart/form-data; boundary={BOUNDARY}",
    "multipart/form-data; boundary=",
    "application/problem+json",
    "application/json, text/html",
    "application/json;" * 500,
    "multipart/mixed; boundary=a",
    "application/octet-stream",
]
QUERY = (
    "limit",
    "cursor",
    "q",
    "since",
    "until",
    "search",
    "role",
    "state",
    "start",
    "end",
    "risk_type",
    "action",
    "user_id",
    "actor_id",
    "verdict",
    "team_id",
    "order",
    "from",
    "to",
    "format",
    "language",
    "nonsense",
    "document_id",
    "model",
    "days",
)


def allowed(route, random):
    return random.choice(sorted(TABLE[route].callers))


def bodies(world, random):
    """Yield bodies that no client would send, from callers that may use the route."""
    while True:
        route = random.choice(WITH_BODY)
        name = allowed(route, random)
        content = _body(TABLE[route].body, random).encode("utf-8", "surrogatepass")
        kind = TYPES[0] if random.random() < 0.7 else random.choice(TYPES)
        more, content = _coded(content, random)
        headers = (*world.actors[name].bearer, ("Content-Type", kind), *more)
        request = Request(route[0], world.path(route[1], name), headers, content)
        yield Attempt("bodies", name, request, note=" ".join(route))


def _body(known, random):
    if random.random() < 0.2:
        return random.choice(VALUES)
    fields = {name: json.dumps(value) for name, value in known.items()}
    names = random.sample(FIELDS, random.randint(1, 4)) + list(fields)
    for name in random.sample(names, random.randint(1, len(names))):
        fields[name] = random.choice(VALUES)
    pairs = [f'"{name}":{value}' for name, value in fields.items()]
    if random.random() < 0.1:
        pairs += pairs  # each name twice
    return "{" + ",".join(pairs) + "}"


def _coded(content, random):
    """Sometimes compress or recode the body, truthfully or not."""
    gzipped = (("Content-Encoding", "gzip"),)
    codings = [
        (gzipped, gzip.compress(content)),
        (gzipped, BOMB),
        ((("Content-Encoding", "deflate, gzip, br"),), zlib.compress(content)),
        ((), content.decode("utf-8", "replace").encode("utf-16")),
        ((), b"\xef\xbb\xbf" + content),
        ((), content + b"\0\xff"),
    ]
    return random.choice(codings) if random.random() < 0.3 else ((), content)


def queries(world, random):
    """Yield queries that no client would send."""
    texts = [re.sub(r"^\"|\"$", "", value) for value in VALUES if len(value) < 6_000]
    while True:
        route = random.choice(READABLE)
        name = allowed(route, random)
        pairs = [
            f"{random.choice(QUERY)}={_quoted(random.choice(texts), random)}"
            for _ in range(random.randint(1, 4))
        ]
        target = f"{world.path(route[1], name)}?{'&'.join(pairs)}"
        range_header = (("Range", random.choice(["bytes=5-1", "bytes=-0", "bytes=1e9-", "x=0-"])),)
        more = range_header if random.random() < 0.1 else ()
        request = Request("GET", target, (*world.actors[name].bearer, *more))
        yield Attempt("queries", name, request, note=" ".join(route))


def _quoted(text, random):
    safe = re.sub(
        r"[^!-~]",
        lambda c: "".join(f"%{b:02x}" for b in c[0].encode("utf-8", "surrogatepass")),
        text,
    )
    return safe.replace("#", "%23") if random.random() < 0.5 else safe.replace("&", "%26")


def multipart(world, random):
    """Yield forms with broken boundaries, parts without end, and many parts."""
    routes = ["/scan", "/api/v1/scan", "/api/v1/sessions/<uuid:session_id>/files"]
    cases = list(_FORMS.items())
    while True:
        path = world.path(random.choice(routes), "user")
        note, (kind, content) = random.choice(cases)
        headers = (*world.actors["user"].bearer, ("Content-Type", kind))
        yield Attempt("multipart", "user", Request("POST", path, headers, content), note=note)


_START = f"multipart/form-data; boundary={BOUNDARY}"
_WHOLE = form_body({"file": ("a.txt", b"The vendor may fail.")})[1]
_PART = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'.encode()
_END = f"\r\n--{BOUNDARY}--\r\n".encode()
_FORMS = {
    "other boundary": ("multipart/form-data; boundary=other", _WHOLE),
    "no boundary": ("multipart/form-data", _WHOLE),
    "boundary of 10,000 characters": (f"multipart/form-data; boundary={'a' * 10_000}", _WHOLE),
    "boundary of NULs": ('multipart/form-data; boundary="\0\0"', _WHOLE),
    "boundary not ASCII": ("multipart/form-data; boundary=\u00ff\u00fe", _WHOLE),
    "without end": (_START, _WHOLE[:-8]),
    "cut in a header": (_START, _PART[:60]),
    "empty": (_START, b""),
    "only the end": (_START, _END),
    "10,000 files": (_START, (_PART + b"a\r\n") * 10_000 + _END),
    "10,000 fields": (_START, _PART.replace(b'; filename="a.txt"', b"") * 10_000 + _END),
    "no name": (_START, _PART.replace(b'name="file"; ', b"") + b"a" + _END),
    "name with path": (_START, _PART.replace(b"a.txt", b"../../../etc/passwd") + b"a" + _END),
    "name of NULs": (_START, _PART.replace(b"a.txt", b"a\0.txt\0") + b"a" + _END),
    "name of 60,000 characters": (
        _START,
        _PART.replace(b"a.txt", b"a" * 60_000 + b".txt") + b"a" + _END,
    ),
    "name not UTF-8": (_START, _PART.replace(b"a.txt", b"\xff\xfe.txt") + b"a" + _END),
    "name coded": (
        _START,
        _PART.replace(b'filename="a.txt"', b"filename*=utf-9''%ff%00.txt") + b"a" + _END,
    ),
    "name drives a terminal": (
        _START,
        _PART.replace(b"a.txt", b"\x1b[2J\xe2\x80\xae.txt") + b"a" + _END,
    ),
    "part header of 200 KB": (_START, _PART[:-2] + b"X: " + b"a" * 200_000 + b"\r\n\r\na" + _END),
    "5,000 part headers": (_START, _PART[:-2] + b"X: y\r\n" * 5_000 + b"\r\na" + _END),
    "part in base64": (_START, _PART[:-2] + b"Content-Transfer-Encoding: base64\r\n\r\n=@!" + _END),
    "part charset": (
        _START,
        _PART[:-2] + b"Content-Type: text/plain; charset=rot13\r\n\r\na" + _END,
    ),
    "form in a form": (
        _START,
        _PART[:-2] + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + _END,
    ),
    "line feeds only": (_START, _WHOLE.replace(b"\r\n", b"\n")),
    "text before": (_START, b"x" * 100_000 + b"\r\n" + _WHOLE),
    "text after": (_START, _WHOLE + b"x" * 100_000),
    "text field of bytes": (
        _START,
        _PART.replace(b'name="file"; filename="a.txt"', b'name="text"') + b"\xff\0" + _END,
    ),
}


def files(world, random):
    """Yield each hostile file once, in random order."""
    routes = ["/scan", "/api/v1/scan", "/api/v1/sessions/<uuid:session_id>/files"]
    built = {**HOSTILE, **_DOCUMENTS}
    for note in random.sample(sorted(built), len(built)):
        filename, build = built[note]
        more, content = form_body({"file": (filename, build())})
        headers = (*world.actors["user"].bearer, *more)
        path = world.path(random.choice(routes), "user")
        yield Attempt("files", "user", Request("POST", path, headers, content), note=note)


_DOCUMENTS = {
    "pdf: damaged": ("a.pdf", documents.damaged_pdf),
    "pdf: encrypted": ("a.pdf", documents.encrypted_pdf),
    "pdf: images only": ("a.pdf", documents.image_only_pdf),
    "pdf: 20,000 pages": ("a.pdf", lambda: documents.pdf_with_n_pages(20_000)),
    "pdf: 20,000 comments": ("a.pdf", lambda: documents.pdf_with_many_comments(20_000)),
    "pdf: only its first bytes": ("a.pdf", lambda: b"%PDF-1.7\n"),
    "pdf: zeros": ("a.pdf", lambda: b"%PDF-1.7\n" + b"\0" * 1_000_000),
    "docx: bomb": ("a.docx", documents.zip_bomb_docx),
    "docx: billion laughs": ("a.docx", documents.billion_laughs_docx),
    "docx: external entity": ("a.docx", lambda: documents.external_entity_docx("/etc/passwd")),
    "docx: encrypted": ("a.docx", documents.encrypted_docx),
    "docx: body listed 500 times": (
        "a.docx",
        lambda: documents.docx_that_lists_its_body(times=500, text="The vendor may fail. " * 200),
    ),
    "txt: NULs": ("a.txt", lambda: b"\0" * 500_000),
    "txt: not UTF-8": ("a.txt", lambda: bytes(range(128, 256)) * 1_000),
    "txt: one sentence of 1 MB": ("a.txt", lambda: b"a" * 1_000_000),
    "txt: a million dots": ("a.txt", lambda: b". " * 1_000_000),
    "txt: marks on one letter": ("a.txt", lambda: b"a" + "\u0301".encode() * 200_000),
    "html: 200,000 open tags": ("a.html", lambda: b"<div>" * 200_000),
    "type of another": ("a.pdf", documents.zip_bomb_docx),
    "no extension": ("a", lambda: b"MZ\x90\0" * 1_000),
}
