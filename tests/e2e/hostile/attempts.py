"""One hostile request, and what its answer must not be."""

import io
import zipfile
from dataclasses import dataclass

from tests.e2e.hostile.wire import Pieces, Request

BY_DESIGN = {
    (501, "not_configured"),
    (503, "overloaded"),
    (503, "analyzer_timeout"),
    (505, "unsupported_http_version"),
}
"""Answers of 500 and more that are no fault: what the operator left out, and the limits of load and time."""


@dataclass(frozen=True)
class Attempt:
    """`is_forbidden`: no 2xx may come. `expected`: only these statuses may come; empty allows any."""

    kind: str
    actor: str
    request: Request | Pieces
    is_forbidden: bool = False
    expected: frozenset = frozenset()
    note: str = ""

    @property
    def pieces(self):
        if isinstance(self.request, Pieces):
            return self.request
        return Pieces((self.request.encoded(),), method=self.request.method)

    def __str__(self):
        head = b"".join(self.pieces.parts)[:300]
        return f"{self.kind} {self.note} as {self.actor}: {head!r}"


def faults(attempt, answer, world):
    """Return what is wrong with an answer, in words."""
    found = []
    status, code = answer.status, answer.code
    if status == -1:
        found.append("no answer in time")
    if status >= 500 and (status, code) not in BY_DESIGN:
        found.append(f"{status} {code}")
    if attempt.is_forbidden and 200 <= status < 300:
        found.append(f"{status} for a caller that the table forbids")
    if attempt.expected and status not in attempt.expected:
        found.append(f"{status} instead of {sorted(attempt.expected)}")
    has_body = attempt.pieces.method != "HEAD"
    if status >= 400 and has_body and "application/problem+json" not in answer.content_type:
        found.append(f"{status} as {answer.content_type or 'no type'}, no problem document")
    if b"Traceback (most recent" in answer.body:
        found.append("a traceback in the body")
    found += [
        f"foreign marker {m.decode()}" for m in world.foreign(attempt.actor, _plain(answer.body))
    ]
    return found


def _plain(body):
    """Return a body with the members of a ZIP unpacked."""
    if not body.startswith(b"PK\3\4"):
        return body
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return b"".join(archive.read(name) for name in archive.namelist()) + body
