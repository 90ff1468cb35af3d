"""Rejects request heads that two HTTP parsers could read differently (RFC 9112), and trims their values."""

from __future__ import annotations

import re

from service.errors import InvalidRequest, UnsupportedHttpVersion

_REQUEST_LINE = re.compile(rb"[^ ]+ [^ ]+(?: HTTP/([0-9]\.[0-9]))?")
_HOST = re.compile(rb"[A-Za-z0-9._~:%!$&'()*+;=\[\]-]*")
_VERSIONS = (b"1.0", b"1.1")


def check_head(head: bytes) -> None:
    """Reject a head (request line to empty line) if two parsers could see different ends of the request.

    It checks nothing else: waitress parses the head and rejects other errors.

    Raises:
        UnsupportedHttpVersion: the version is neither 1.0 nor 1.1.
        InvalidRequest: the version is missing, a header is folded, or Host or the length is missing, repeated
            or ambiguous.
    """
    first, *lines = head.split(b"\r\n")
    version = _version(first)
    headers: dict[bytes, list[bytes]] = {}
    for line in lines:
        if line[:1] in {b" ", b"\t"}:
            raise InvalidRequest("A header continues on a second line; send each on one line.")
        name, _, value = line.partition(b":")
        headers.setdefault(name.lower(), []).append(value.strip(b" \t"))
    _check_host(headers.get(b"host", []), is_needed=version == b"1.1")
    _check_length(
        headers.get(b"content-length", []), headers.get(b"transfer-encoding", []), version
    )


def trim_values(head: bytes) -> bytes:
    """Return the head without the white space around each header's value.

    waitress's regular expression takes quadratic time in spaces and tabs before a value: 5 s for 32 kB.
    """
    first, *lines = head.split(b"\r\n")
    return b"\r\n".join([first, *(_trimmed(line) for line in lines)])


def _trimmed(line: bytes) -> bytes:
    name, colon, value = line.partition(b":")
    return name + colon + value.strip(b" \t")


def _version(request_line: bytes) -> bytes:
    match = _REQUEST_LINE.fullmatch(request_line.rstrip())
    if match is None or match[1] is None:
        raise InvalidRequest(
            "The request line reads METHOD, path and HTTP/1.1, between single spaces."
        )
    if match[1] not in _VERSIONS:
        raise UnsupportedHttpVersion(
            f"This service speaks HTTP/1.1 and HTTP/1.0, not HTTP/{match[1].decode()}."
        )
    return match[1]


def _check_host(hosts: list[bytes], *, is_needed: bool) -> None:
    if len(hosts) > 1 or (is_needed and not hosts):
        raise InvalidRequest(f"An HTTP/1.1 request has one Host header; this one has {len(hosts)}.")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise InvalidRequest("The Host header is a name or an address, optionally with a port.")


def _check_length(lengths: list[bytes], encodings: list[bytes], version: bytes) -> None:
    if lengths and encodings:
        raise InvalidRequest(
            "The request has Content-Length and Transfer-Encoding; send one of them."
        )
    if len(lengths) > 1:
        raise InvalidRequest("The request has more than one Content-Length; send one.")
    if encodings and (version != b"1.1" or [e.lower() for e in encodings] != [b"chunked"]):
        raise InvalidRequest("Transfer-Encoding is `chunked`, once, and in HTTP/1.1 only.")
