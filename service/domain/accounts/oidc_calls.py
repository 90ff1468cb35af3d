"""Calls to the single sign-on provider: each has a deadline, a maximum size and a record without content."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from service.domain.bounded_exchange import (
    FAILURES,
    AnswerTooLongError,
    BoundedExchange,
    OutgoingRequest,
    TooManyCallsError,
)
from service.errors import SsoUnavailable
from service.nlp.deadline import Deadline
from service.nlp.observer import Call, Observer, observe_call

TIMEOUT_S = 8.0
MAX_ANSWER_BYTES = 512 * 1024
OK = 200
_MAX_CALLS = 8
"""Calls at once: a provider that hangs must not hold more threads of the service."""


class Unreachable(SsoUnavailable):
    """No connection; a second attempt may succeed."""


def unavailable(fault: str) -> SsoUnavailable:
    """Return the error for a provider that `fault` describes; it completes a sentence."""
    return SsoUnavailable(_message(fault))


class OidcCalls:
    """Sends requests to the provider. Thread-safe."""

    def __init__(self, *, hosts: Sequence[str], observer: Observer) -> None:
        """`hosts` are those of EGRESS_HOSTS, empty: any. `observer` receives each call."""
        self._hosts = frozenset(hosts)
        self._observer = observer
        self._exchange = BoundedExchange("oidc", n_calls=_MAX_CALLS, max_bytes=MAX_ANSWER_BYTES)

    def get(self, url: str) -> tuple[int, dict[str, Any]]:
        """Return status and JSON object of an answer; a status other than 200 may have an empty object.

        Raises:
            SsoUnavailable: EGRESS_HOSTS does not list the host, or it answers late, or with no JSON object.
        """
        return self._send(OutgoingRequest("GET", url, _headers(), b""))

    def post(
        self, url: str, form: Mapping[str, str], *, credentials: tuple[str, str] | None
    ) -> tuple[int, dict[str, Any]]:
        """Post a form, with name and secret of a client if given; result and errors are as in `get`."""
        body = urlencode(form).encode()
        headers = _headers(
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Content-Length", str(len(body))),
        )
        if credentials is not None:
            headers += (("Authorization", _basic(*credentials)),)
        return self._send(OutgoingRequest("POST", url, headers, body))

    def require_listed(self, url: str) -> str:
        """Return the host of an address; SsoUnavailable if EGRESS_HOSTS does not list it."""
        host = (urlsplit(url).hostname or "").lower()
        if self._hosts and host not in self._hosts:
            raise unavailable(f"names the host {host}, which EGRESS_HOSTS does not list.")
        return host

    def _send(self, request: OutgoingRequest) -> tuple[int, dict[str, Any]]:
        host = self.require_listed(request.url)
        with observe_call(self._observer, "sso", host) as call:
            status, body = self._exchanged(request, call)
            return status, _parsed(status, body)

    def _exchanged(self, request: OutgoingRequest, call: Call) -> tuple[int, bytes]:
        try:
            return self._exchange.send(request, call, Deadline.after(TIMEOUT_S))
        except TooManyCallsError as error:
            raise unavailable(
                "is slow, and too many log-ins wait for it. Try again in a minute."
            ) from error
        except AnswerTooLongError as error:
            raise unavailable(f"answers with more than {MAX_ANSWER_BYTES:,} bytes.") from error
        except TimeoutError as error:
            raise unavailable(f"does not answer within {TIMEOUT_S:g} seconds.") from error
        except FAILURES as error:
            raise Unreachable(_message(f"cannot be reached ({type(error).__name__}).")) from error


def _headers(*more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    accepted = (("Accept", "application/json"), ("Accept-Encoding", "identity"))
    return (*accepted, ("User-Agent", "riskscan"), *more)


def _basic(name: str, secret: str) -> str:
    """Return the Authorization header of a client; RFC 6749, section 2.3.1 encodes both parts first."""
    pair = f"{quote(name, safe='')}:{quote(secret, safe='')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _parsed(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        return answer
    if status == OK:
        raise unavailable("answers with something that is not a JSON object. Check OIDC_ISSUER.")
    return {}


def _message(fault: str) -> str:
    return f"The single sign-on provider {fault} Try again later; operators run `python -m service check`."
