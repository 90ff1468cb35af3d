"""Calls to the external index service: each has a deadline, a maximum size and a record without content."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import quote, urlsplit
from uuid import UUID

from pydantic import BaseModel, Field, ValidationError
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_fixed

from service.config.settings import Config
from service.domain.bounded_exchange import (
    FAILURES,
    AnswerTooLongError,
    BoundedExchange,
    OutgoingRequest,
    TooManyCallsError,
)
from service.errors import IndexerUnavailable
from service.nlp.analyzers.circuit_breaker import CircuitBreaker
from service.nlp.deadline import Deadline
from service.nlp.observer import Call, Observer, observe_call

MAX_ANSWER_BYTES = 1_000_000
MAX_LISTED = 1_000
MAX_ITEMS = 200
PUSH_TIMEOUT_S = 30.0
"""A push carries a document's text, and nobody waits for it."""
_MAX_CALLS = 8
"""Calls at once: a service that hangs must not hold more threads."""
_ATTEMPTS = 2
_RETRY_S = 0.1
_REFUSED = frozenset({400, 413, 422})
"""Statuses that concern one item, not the service."""
_Method = Literal["GET", "PUT", "DELETE", "POST"]
_log = logging.getLogger(__name__)


class Unreachable(IndexerUnavailable):
    """No connection; a second attempt may succeed."""


class _Found(BaseModel):
    id: UUID
    score: float = Field(allow_inf_nan=False)


class _FoundItems(BaseModel):
    items: Annotated[list[_Found], Field(max_length=MAX_ITEMS)]


class ListedItem(BaseModel):
    """An item that the index service has, and the version that its PUT carried."""

    id: UUID
    version: Annotated[str, Field(max_length=64)]


class _ListedItems(BaseModel):
    items: Annotated[list[ListedItem], Field(max_length=MAX_LISTED)]


_Answer = TypeVar("_Answer", bound=BaseModel)


class IndexCalls:
    """Sends requests to INDEXER_URL. Thread-safe. Every call is idempotent and may be sent twice."""

    def __init__(self, config: Config, observer: Observer) -> None:
        """`observer` receives each call."""
        self._url = config.indexer_url
        self._host = urlsplit(config.indexer_url).hostname or ""
        self._timeout_s = config.indexer_timeout_s
        self._token = config.indexer_token
        self._observer = observer
        self._exchange = BoundedExchange("indexer", n_calls=_MAX_CALLS, max_bytes=MAX_ANSWER_BYTES)
        self._breaker = CircuitBreaker(
            f"The index service at {self._host} (INDEXER_URL)",
            on_change=_log_circuit,
            unavailable=IndexerUnavailable,
        )

    @property
    def is_circuit_open(self) -> bool:
        """Whether the service failed so often in a row that it is not called for a while."""
        return self._breaker.is_open

    def put(self, item_id: UUID, item: Mapping[str, Any]) -> bool:
        """Add or replace an item; return False if the service refuses this one.

        Raises:
            IndexerUnavailable: no usable answer in time, or the circuit breaker is open.
        """
        status, _ = self._send("PUT", f"/v1/items/{item_id}", item, PUSH_TIMEOUT_S, _REFUSED)
        return status not in _REFUSED

    def delete(self, item_id: UUID) -> None:
        """Remove an item, which may be gone already; errors are as in `put`."""
        self._send("DELETE", f"/v1/items/{item_id}", None, PUSH_TIMEOUT_S, frozenset({404}))

    def listed(
        self, after: UUID | None, *, limit: int, timeout_s: float = PUSH_TIMEOUT_S
    ) -> Sequence[ListedItem]:
        """Return `limit` items with an id above `after` in the order of their ids; fewer are the last ones.

        Raises:
            IndexerUnavailable: as in `put`, or the items are out of order or too many.
        """
        query = f"?limit={limit}" + ("" if after is None else f"&after={quote(str(after))}")
        items = self._parsed(_ListedItems, "GET", f"/v1/items{query}", None, timeout_s).items
        ids = [item.id for item in items]
        starts = [] if after is None else [after]
        if len(ids) > limit or sorted({*starts, *ids}) != [*starts, *ids]:
            raise _unavailable("lists items out of order. Check INDEXER_URL.")
        return items

    def query(self, question: Mapping[str, Any]) -> list[UUID]:
        """Return the ids of matching items, best first, each once.

        Raises:
            IndexerUnavailable: as in `put`, within INDEXER_TIMEOUT_S.
        """
        answer = self._parsed(_FoundItems, "POST", "/v1/query", question, self._timeout_s)
        ranked = sorted(answer.items, key=lambda item: item.score, reverse=True)
        return list(dict.fromkeys(item.id for item in ranked))

    def _parsed(
        self,
        schema: type[_Answer],
        method: _Method,
        path: str,
        payload: Mapping[str, Any] | None,
        timeout_s: float,
    ) -> _Answer:
        _, answer = self._send(method, path, payload, timeout_s, schema=schema)
        assert isinstance(answer, schema)  # noqa: S101 - `_checked` made it
        return answer

    def _send(
        self,
        method: _Method,
        path: str,
        payload: Mapping[str, Any] | None,
        timeout_s: float,
        accepted: frozenset[int] = frozenset(),
        *,
        schema: type[BaseModel] | None = None,
    ) -> tuple[int, BaseModel | None]:
        body = b"" if payload is None else json.dumps(payload).encode()
        request = OutgoingRequest(method, self._url + path, self._headers(body), body)
        deadline = Deadline.after(timeout_s)
        attempts = Retrying(
            retry=retry_if_exception_type(Unreachable),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_fixed(_RETRY_S),
            reraise=True,
        )
        with self._breaker.guard():
            for attempt in attempts:
                with attempt, observe_call(self._observer, "indexer", self._host) as call:
                    status, content = self._exchanged(request, call, deadline)
                    if status in accepted:
                        return status, None
                    return status, _checked(status, content, schema)
        raise AssertionError("an attempt returns or raises")

    def _exchanged(
        self, request: OutgoingRequest, call: Call, deadline: Deadline
    ) -> tuple[int, bytes]:
        request = replace(request, headers=(*request.headers, *call.headers.items()))
        try:
            return self._exchange.send(request, call, deadline)
        except TooManyCallsError as error:
            raise _unavailable("is slow, and too many calls wait for it.") from error
        except AnswerTooLongError as error:
            raise _unavailable(f"answers with more than {MAX_ANSWER_BYTES:,} bytes.") from error
        except TimeoutError as error:
            raise _unavailable("does not answer in time.") from error
        except FAILURES as error:
            message = f"cannot be reached ({type(error).__name__})."
            raise Unreachable(_message(message)) from error

    def _headers(self, body: bytes) -> tuple[tuple[str, str], ...]:
        headers = [("Accept", "application/json"), ("Accept-Encoding", "identity")]
        headers.append(("User-Agent", "riskscan"))
        if self._token:
            headers.append(("Authorization", f"Bearer {self._token}"))
        if body:
            headers.append(("Content-Type", "application/json"))
            headers.append(("Content-Length", str(len(body))))
        return tuple(headers)


def _checked(status: int, body: bytes, schema: type[BaseModel] | None) -> BaseModel | None:
    """Return the answer if its status and its content are as docs/indexer.md says."""
    if not 200 <= status < 300:
        raise _unavailable(f"answers {status}. Look at its log; check INDEXER_TOKEN.")
    if schema is None:
        return None
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise _unavailable("answers with something else than docs/indexer.md says.") from error


def _unavailable(fault: str) -> IndexerUnavailable:
    return IndexerUnavailable(_message(fault))


def _message(fault: str) -> str:
    return f"The index service (INDEXER_URL) {fault}"


def _log_circuit(is_open: bool) -> None:
    if is_open:
        _log.warning("search: the index service fails and is not called for a while")
    else:
        _log.info("search: the index service answers again")
