"""What a worker thread runs for one request: the application, or an error response in its place."""

from __future__ import annotations

import logging

from waitress.channel import ClientDisconnected
from waitress.task import ErrorTask, Task, WSGITask

from service.api.http.limits import RETRY_AFTER_S
from service.api.http.problem_document import error_headers, problem_response
from service.api.http.security_headers import security_headers
from service.api.http.wsgi_environ import ON_DISK_KEY, USER_ID_KEY
from service.errors import Overloaded, RiskscanError
from service.observability import request_id
from service.observability.logging import fields
from service.server.memory_budget import ANONYMOUS
from service.server.problem_responses import cors_headers, status_line, translate_error

_UNREAD = (
    "Unread answers fill their memory, or your share of it (BUFFER_MEMORY_BYTES). The request was carried "
    "out, but its answer is not sent. Read the other answers first."
)
_NO_ROUTE = "unmatched"
"""As UNMATCHED in metrics.py, whose packages the sidecar does not load."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER_METHOD = "_OTHER"
"""OpenTelemetry's name of a method that is none of those of HTTP, which could be any text."""
_log = logging.getLogger(__name__)


class ResponseMemoryFullError(Exception):
    """The response does not fit into the memory for responses that clients have not read yet."""


class _ResponseTask(Task):  # type: ignore[misc]  # waitress has no annotations
    """Sends headers and body in one system call, and can send an error response."""

    is_rejected = False

    def build_response_header(self) -> bytes:
        if self.channel.policy.is_draining():
            self.request.headers["CONNECTION"] = "close"  # as if the client had sent it
        header: bytes = super().build_response_header()
        return header

    def write(self, data: bytes) -> None:
        with self.channel.coalesced_writes():
            super().write(data)

    def reject(self, error: RiskscanError) -> None:
        """Send `error` as problem+json and close the connection."""
        policy = self.channel.policy
        policy.on_rejected(error.code)
        self.is_rejected = True
        body, headers = problem_response(error.code, error.message, instance="")
        self.version = "1.1"  # ours; the request's may be unknown
        self.status = status_line(error.code)
        is_https = self.channel.is_https(self.request)
        headers += [*error_headers(error), *security_headers(is_https=is_https)]
        headers += cors_headers(self.request.headers, policy.cors_origins)
        self.response_headers = [*headers, ("Connection", "close")]
        self.close_on_finish = self.complete = True
        self.content_length = len(body)
        self.write(b"" if getattr(self.request, "command", "") == "HEAD" else body)


class ApplicationTask(_ResponseTask, WSGITask):  # type: ignore[misc]
    """Sends the application's response, or 503 if unread responses leave no memory for it.

    A response of one piece counts in full, one of several pieces by its Content-Length. A stream, which has
    none, counts what is unsent, and ends early if that no longer fits. Stored files count nothing: the
    listener reads them from the disk while the client reads the response.
    """

    _n_reserved = 0

    def execute(self) -> None:
        try:
            super().execute()
        except ResponseMemoryFullError as error:
            if not self.wrote_header:
                self.reject(Overloaded(_UNREAD, retry_after_s=RETRY_AFTER_S))
                return
            self.channel.policy.on_rejected(Overloaded.code)
            _log.warning("a stream ended early: its client reads too slowly")
            raise ClientDisconnected from error  # without the last chunk, so that the client notices

    def write(self, data: bytes) -> None:
        is_in_memory = ON_DISK_KEY not in self.environ
        if is_in_memory and not self.is_rejected:
            self._reserve_memory(len(data))
        super().write(data)

    def _reserve_memory(self, n_bytes: int) -> None:
        if self.wrote_header and self.content_length is not None:
            return  # the first piece has reserved all
        user_id = self.environ.get(USER_ID_KEY, ANONYMOUS)
        whole = max(n_bytes, self.content_length or 0)
        self._n_reserved += self.channel.reserve_memory(user_id, whole, held=self._n_reserved)


class ProblemTask(_ResponseTask, ErrorTask):  # type: ignore[misc]
    """Sends the error of a request that the parser or admission control rejected.

    The request has its span and its line in the log, as those that reach the application have.
    """

    def execute(self) -> None:
        policy, headers = self.channel.policy, self.request.headers
        request_id.begin(
            headers.get("X_REQUEST_ID"),
            client_address=self.channel.client_address(self.request),
            traceparent=headers.get("TRACEPARENT"),
            tracestate=headers.get("TRACESTATE"),
            new_trace_flags=policy.tracing.new_trace_flags,
        )
        error = translate_error(self.request.error, too_large_detail=policy.too_large_detail)
        command = getattr(self.request, "command", "")
        method = command if command in _METHODS else _OTHER_METHOD
        _log.info(
            "rejected",
            extra=fields(
                method=method,
                path=getattr(self.request, "path", "") or None,
                status=error.status,
                code=error.code,
                client_address=request_id.current_client_address(),
            ),
        )
        policy.tracing.request_ended(method, _NO_ROUTE, error.status, 0.0)
        self.reject(error)  # last, so that whoever has the answer finds its line
