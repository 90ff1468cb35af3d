"""An OpenTelemetry collector: receives spans by OTLP over HTTP."""

from __future__ import annotations

import gzip
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.fakes.loopback import LoopbackServer


class TraceCollector(LoopbackServer):
    """Keeps the spans that it receives."""

    path = "/v1/traces"

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[Any] = []

    def read(self, headers: dict[str, str], body: bytes) -> Any:
        plain = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
        export = ExportTraceServiceRequest.FromString(plain)
        spans = [s for r in export.resource_spans for scope in r.scope_spans for s in scope.spans]
        self.spans += spans
        return spans

    def answer(self, request: Any) -> Any:
        del request
        return {}
