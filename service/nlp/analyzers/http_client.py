"""HTTP client for another service's JSON API; maps each failure to the error tree.

Removes secrets from a server's messages before they reach the caller.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from service.errors import (
    AnalyzerError,
    AnalyzerTimeout,
    AnalyzerUnavailable,
    ConfigError,
    ShuttingDown,
)
from service.nlp.analyzers.circuit_breaker import CircuitBreaker
from service.nlp.deadline import Deadline
from service.nlp.observer import Call

WAIT_WITHOUT_DEADLINE_S = 60.0
MAX_ANSWER_BYTES = 4_000_000
MAX_MESSAGE_CHARS = 300
MAX_RETRY_AFTER_S = 3_600
QUOTE_CHARS = 12
"""So many characters in a row that an error message shares with the request are a quotation."""

FormPart = tuple[str | None, str | bytes] | tuple[str | None, str | bytes, str | None]
"""A field of a form: file name (None for a plain field), value, and a file's media type."""

Exchange = tuple[int, httpx.Headers, bytes]
"""Status, headers and body of an answer."""

_SECRET_SHAPES = re.compile(r"(?i)\b(?:bearer|basic)\s+[^\s\"',;]+|\b(?:sk|pk|key)-[\w*.\-]{4,}")
_URL = re.compile(r"(https?://)(?:[^\s/@\"']*@)?([^\s?#\"']*)[^\s\"']*", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")


class JsonClient:
    """Posts to one address, with a bearer token if there is one. Thread-safe.

    `setting` is the setting that holds the address; error messages name it as the remedy.
    """

    def __init__(
        self,
        url: str,
        *,
        setting: str,
        token: str = "",
        on_circuit: Callable[[bool], None] = lambda _is_open: None,
    ) -> None:
        """Prepare the client; it connects at the first request.

        `on_circuit` receives that the circuit breaker opened or closed.

        Raises:
            ConfigError: the address is invalid, or the token cannot be sent in a header.
        """
        self._url = url
        self._setting = setting
        self.host = urlsplit(url).hostname or ""
        self._breaker = CircuitBreaker(self._name(), on_change=on_circuit)
        self._secrets = tuple(s for s in (token, urlsplit(url).password or "") if s)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        try:
            httpx.URL(url)
            _ = urlsplit(url).port  # raises where httpx accepts: a port above 65535
            # The system's trust store, since on-premises servers use the customer's CA.
            self._client = httpx.Client(
                headers=headers,
                trust_env=False,
                follow_redirects=False,
                verify=ssl.create_default_context(),
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise ConfigError(
                f"{setting} is no usable address, or its token holds characters beyond ASCII."
            ) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def post(
        self, payload: object, *, deadline: Deadline | None = None, call: Call | None = None
    ) -> Any:  # noqa: ANN401 - JSON
        """Post `payload` as JSON and return the parsed JSON of a 200 response.

        Fills status and sizes of `call`. No error quotes the chat messages of `payload`.

        Raises:
            AnalyzerUnavailable: no connection, or status 429 or 503.
            AnalyzerTimeout: no complete response before `deadline`; without one, within a minute.
            AnalyzerError: any other status, or a response that is not JSON or is longer than 4 MB.
            ShuttingDown: the client was closed.
        """
        body = json.dumps(payload).encode()
        headers = {"Content-Type": "application/json"}
        try:
            return self._post(deadline, call, content=body, headers=headers)
        except (AnalyzerError, AnalyzerUnavailable) as error:
            if not _quotes_chat(error.message, payload):
                raise
            message = f"{self._name()} answered with an error that quotes the request."
            raise type(error)(message, retry_after_s=error.retry_after_s) from None

    def post_form(
        self,
        form: Mapping[str, FormPart],
        *,
        deadline: Deadline | None = None,
        call: Call | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Post a form as multipart/form-data; the result and the errors are as in `post`."""
        return self._post(deadline, call, files=form)

    def _post(self, deadline: Deadline | None, call: Call | None, **content: Any) -> Any:  # noqa: ANN401 - httpx's, JSON
        call = call or Call("", self.host)
        deadline = deadline or Deadline.after(WAIT_WITHOUT_DEADLINE_S)
        deadline.check()
        if self._client.is_closed:
            raise ShuttingDown("The service is stopping; send the document again.")
        with self._breaker.guard():
            return self._answer(deadline, call, content)

    def _answer(self, deadline: Deadline, call: Call, content: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        try:
            status, headers, body = self._within(deadline, call, content)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise self._timeout(deadline) from error
        except httpx.HTTPError as error:
            raise AnalyzerUnavailable(
                f"{self._name()} cannot be reached or broke the connection "
                f"({type(error).__name__}). Check that it runs."
            ) from error
        if status != httpx.codes.OK:
            raise self._status_error(status, headers, body)
        return self._parsed(body)

    def _within(self, deadline: Deadline, call: Call, content: dict[str, Any]) -> Exchange:
        """Send the request on a separate thread, since httpx limits each wait but not their sum."""
        outcome: Future[Exchange] = Future()
        is_abandoned = threading.Event()

        def run() -> None:
            try:
                outcome.set_result(self._exchange(content, deadline, call, is_abandoned))
            except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
                outcome.set_exception(error)

        threading.Thread(target=run, name="http-json", daemon=True).start()
        try:
            return outcome.result(timeout=deadline.remaining_s())
        except TimeoutError:
            is_abandoned.set()
            raise

    def _exchange(
        self,
        content: dict[str, Any],
        deadline: Deadline,
        call: Call,
        is_abandoned: threading.Event,
    ) -> Exchange:
        request = self._client.build_request(
            "POST", self._url, **content, timeout=max(deadline.remaining_s(), 0.001)
        )
        request.headers.update(call.headers)
        request.stream = _CountedBody(request, call, is_abandoned)
        response = self._client.send(request, stream=True)
        call.status = response.status_code
        try:
            return response.status_code, response.headers, self._read(response, deadline, call)
        finally:
            response.close()

    def _read(self, response: httpx.Response, deadline: Deadline, call: Call) -> bytes:
        """Read the body chunk by chunk, since httpx limits neither the total time nor the size."""
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            call.received_bytes = len(body)
            if len(body) > MAX_ANSWER_BYTES:
                raise AnalyzerError(
                    f"{self._name()} answered with more than {MAX_ANSWER_BYTES:,} bytes; "
                    "the scan was refused."
                )
            if deadline.remaining_s() == 0.0:
                raise httpx.ReadTimeout("the deadline passed", request=response.request)
        return bytes(body)

    def _parsed(self, body: bytes) -> Any:  # noqa: ANN401 - JSON
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise AnalyzerError(
                f"{self._name()} answered with something that is not JSON. "
                f"Check that {self._setting} is the address of the right service."
            ) from error

    def _status_error(
        self, status: int, headers: httpx.Headers, body: bytes
    ) -> AnalyzerError | AnalyzerUnavailable:
        detail = readable_message(body, secrets=self._secrets)
        message = f"{self._name()} answered {status}" + (f": {detail}" if detail else ".")
        if status in {429, 503}:
            return AnalyzerUnavailable(message, retry_after_s=_retry_after_s(headers))
        if 300 <= status < 400:
            message += f" Set {self._setting} to the final address; redirects are not followed."
        return AnalyzerError(message)

    def _timeout(self, deadline: Deadline) -> AnalyzerTimeout:
        service = f"the service at {urlsplit(self._url).hostname} ({self._setting})"
        return deadline.error(f"The scan, waiting for {service},")

    def _name(self) -> str:
        return f"The service at {urlsplit(self._url).hostname} ({self._setting})"


class _CountedBody(httpx.SyncByteStream):
    """The body of a request: counts the bytes that the connection takes, and ends once it is abandoned."""

    def __init__(self, request: httpx.Request, call: Call, is_abandoned: threading.Event) -> None:
        self._request, self._call, self._is_abandoned = request, call, is_abandoned
        self._parts = cast("httpx.SyncByteStream", request.stream)

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            # Counted before the check: else a part could leave after the call was recorded without it.
            self._call.sent_bytes += len(part)
            if self._is_abandoned.is_set():
                raise httpx.WriteTimeout("the caller has gone", request=self._request)
            yield part


def readable_message(body: bytes, *, secrets: Sequence[str] = ()) -> str:
    """Return the message of an error response: one line of at most 300 characters, without secrets."""
    text = _CONTROL.sub(" ", _message(body.decode("utf-8", "replace"))).strip()
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _URL.sub(r"\1\2", _SECRET_SHAPES.sub("***", text))
    return text if len(text) <= MAX_MESSAGE_CHARS else text[: MAX_MESSAGE_CHARS - 1] + "\u2026"


def _quotes_chat(message: str, payload: object) -> bool:
    """Return whether a message quotes the `content` of a chat message in `payload`.

    White space, backslashes and case do not count. A quotation in another encoding goes unnoticed.
    """
    chat = payload.get("messages", ()) if isinstance(payload, dict) else ()
    sent = "\0".join(_plain(part["content"]) for part in chat)
    text = _plain(message)
    starts = range(len(text) - QUOTE_CHARS + 1)
    return any(text[start : start + QUOTE_CHARS] in sent for start in starts)


def _plain(text: str) -> str:
    return _CONTROL.sub("", text).replace("\\", "").casefold()


def _message(text: str) -> str:
    """Find the message in the usual error formats: OpenAI's, RFC 9457's, FastAPI's, plain text."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return "" if text.lstrip().startswith("<") else text
    data = _innermost(data)
    if isinstance(data, list):
        return "; ".join(filter(None, map(_fault, data)))
    return data if isinstance(data, str) else ""


def _innermost(data: object) -> object:
    while isinstance(data, dict):
        keys = ("error", "message", "detail", "title", "msg", "errors")
        data = next((data[key] for key in keys if data.get(key)), None)
    return data


def _fault(item: object) -> str:
    """Format one entry of a list of faults, such as FastAPI's `loc` and `msg`; its `input` is left out."""
    message = _innermost(item)
    location = item.get("loc") if isinstance(item, dict) else None
    if not isinstance(message, str):
        return ""
    if isinstance(location, list) and location:
        return f"{'.'.join(map(str, location))}: {message}"
    return message


def _retry_after_s(headers: httpx.Headers) -> int | None:
    value = headers.get("Retry-After", "").strip()
    sane = re.fullmatch(r"\d{1,5}", value) and 0 < int(value) <= MAX_RETRY_AFTER_S
    return int(value) if sane else None
