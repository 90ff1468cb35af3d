"""Spans of requests, stages of scans and outgoing calls, if OTEL_EXPORTER_OTLP_ENDPOINT is set.

They hold names, durations and counts, never text. Imports OpenTelemetry only if it is used.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from service import __version__
from service.errors import ConfigError
from service.nlp.observer import Call, Observer, Stage
from service.observability.trace_context import SAMPLED, Trace, current_trace

if TYPE_CHECKING:
    from opentelemetry.trace import SpanKind

_MISSING = (
    "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed. Run `pip install -r "
    "requirements-otel.txt -c constraints.txt` in the service's environment, or unset it."
)


class Tracing(Observer):
    """Sends no spans."""

    new_trace_flags = 0
    """The flags of a trace that begins here."""

    def request_ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """Receive the end of the current request."""

    def close(self) -> None:
        """Send what waits."""


def open_tracing(endpoint: str) -> Tracing:
    """Return tracing to the collector at `endpoint`, such as http://localhost:4318; none if it is empty.

    Raises:
        ConfigError: the packages of OpenTelemetry are missing.
    """
    if not endpoint:
        return Tracing()
    try:
        return _OpenTelemetry(endpoint)
    except ImportError as error:
        raise ConfigError(_MISSING) from error


class _OpenTelemetry(Tracing):
    """Sends spans by OTLP over HTTP from a thread of the SDK; drops them while the collector is away."""

    new_trace_flags = SAMPLED

    def __init__(self, endpoint: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - heavy
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        self._kinds = SpanKind
        self._ids = threading.local()
        resource = Resource.create({"service.name": "riskscan", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, id_generator=_GivenIds(self._ids))  # type: ignore[arg-type]
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("riskscan", __version__)

    def request_ended(self, method: str, route: str, status: int, seconds: float) -> None:
        trace = current_trace()
        if trace is not None:
            attributes: dict[str, str | int] = {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
            }
            self._span(
                trace,
                f"{method} {route}",
                seconds,
                attributes,
                kind=self._kinds.SERVER,
                span_id=trace.span_id,
                parent_id=trace.parent_id,
                failed=status >= 500,
            )

    def stage_ended(self, stage: Stage, seconds: float) -> None:
        trace = current_trace()
        if trace is not None:
            self._span(
                trace, stage, seconds, {}, kind=self._kinds.INTERNAL, parent_id=trace.span_id
            )

    def called(self, call: Call) -> None:
        trace = current_trace()
        if trace is None:
            return
        attributes: dict[str, str | int] = {
            "server.address": call.host,
            "riskscan.sent_bytes": call.sent_bytes,
            "riskscan.outcome": call.outcome,
        }
        if call.status is not None:
            attributes["http.response.status_code"] = call.status
        sent = call.headers.get("traceparent", "").split("-")
        self._span(
            trace,
            f"call {call.upstream}",
            call.duration_s,
            attributes,
            kind=self._kinds.CLIENT,
            span_id=sent[2] if len(sent) == 4 else "",
            parent_id=trace.span_id,
            failed=call.error_code is not None,
        )

    def close(self) -> None:
        self._provider.shutdown()

    def _span(
        self,
        trace: Trace,
        name: str,
        seconds: float,
        attributes: Mapping[str, str | int],
        *,
        kind: SpanKind,
        span_id: str = "",
        parent_id: str,
        failed: bool = False,
    ) -> None:
        """Record a span that has just ended."""
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - loaded by then

        if not trace.is_sampled:
            return
        ends_ns = time.time_ns()
        self._ids.trace_id = int(trace.trace_id, 16)
        self._ids.span_id = int(span_id, 16) if span_id else None
        span = self._tracer.start_span(
            name,
            context=_parent(trace, parent_id),
            kind=kind,
            attributes=dict(attributes),
            start_time=ends_ns - int(seconds * 1e9),
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ends_ns)


class _GivenIds:
    """Gives a span the ids that the trace's headers have already told others."""

    def __init__(self, ids: threading.local) -> None:
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415 - heavy

        self._ids = ids
        self._random = RandomIdGenerator()

    def generate_trace_id(self) -> int:
        trace_id: int = self._ids.trace_id
        return trace_id

    def generate_span_id(self) -> int:
        span_id: int | None = self._ids.span_id
        return span_id or self._random.generate_span_id()

    def is_trace_id_random(self) -> bool:
        return False


def _parent(trace: Trace, parent_id: str) -> Any:  # noqa: ANN401 - OpenTelemetry's context
    from opentelemetry import trace as api  # noqa: PLC0415 - loaded by then
    from opentelemetry.context import Context  # noqa: PLC0415

    if not parent_id:
        return Context()  # a root, whatever this thread's context is
    parent = api.SpanContext(
        int(trace.trace_id, 16),
        int(parent_id, 16),
        is_remote=True,
        trace_flags=api.TraceFlags(trace.flags),
    )
    return api.set_span_in_context(api.NonRecordingSpan(parent), Context())
