"""POST /api/v1/scan (stored under the user) and POST /scan (for services, stores nothing)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from apiflask import APIBlueprint
from flask import request

from db.tables import Scan
from service.api.current import services
from service.api.http.authentication import auth, current_user, refusal
from service.api.http.uploads import sent_document
from service.api.schemas.scans import AnalysisOut, ScanHeaders, ScanIn, ScanOut
from service.nlp.pipeline import Submission

blueprint = APIBlueprint("scan", __name__, tag="Scans")
WARNING_HEADER = "X-Riskscan-Warning"
Headers = list[tuple[str, str]]
_UNSAFE_IN_HEADERS = re.compile(r"[^ -~]")
_ANALYZER_FAULTS = [401, 413, 415, 429, 501, 502]


def _admitted(view: Callable[..., Any]) -> Callable[..., Any]:
    """Turn strangers away before their document is read, unless AI_SERVICE_OPEN lets them in."""

    @wraps(view)
    def admitted(**arguments: Any) -> Any:  # noqa: ANN401 - any view's
        if auth.current_user is not None:
            services().scan_quota.spend(str(current_user().id))
        elif not services().config.ai_service_open:
            raise refusal()
        return view(**arguments)

    return admitted


@blueprint.post("/api/v1/scan")
@blueprint.auth_required(auth)
@blueprint.input(ScanHeaders, location="headers", arg_name="headers")
@blueprint.input(ScanIn, location="json_or_form", arg_name="body")
@blueprint.output(ScanOut, status_code=201)
@blueprint.doc(summary="Scan a document and keep the result", responses=[409, *_ANALYZER_FAULTS])
def create(headers: dict[str, str], body: dict[str, Any]) -> tuple[Scan, Headers]:
    user_id = current_user().id
    services().scan_quota.spend(str(user_id))
    key = headers.get("idempotency_key")
    scan = services().scans.create(user_id, _submission(body, caller=str(user_id)), key=key)
    return scan, [
        ("Location", f"/api/v1/scans/{scan.id}"),
        *_warnings(scan.coverage.get("warnings", [])),
    ]


@blueprint.post("/scan")
@blueprint.auth_required(auth, optional="AI_SERVICE_OPEN decides, below")
@_admitted
@blueprint.input(ScanIn, location="json_or_form", arg_name="body")
@blueprint.output(AnalysisOut)
@blueprint.doc(summary="Scan a document and store nothing", responses=_ANALYZER_FAULTS)
def analyze(body: dict[str, Any]) -> tuple[dict[str, Any], Headers]:
    caller = str(current_user().id) if auth.current_user else request.remote_addr
    result = services().pipeline.scan(_submission(body, caller=caller or ""))
    answer = {"data": result.data(), "source": result.analysis.source}
    return answer, _warnings(result.coverage()["warnings"])


def _warnings(warnings: list[dict[str, str]]) -> Headers:
    """Return a header for each warning; the bodies of both answers have fixed keys."""
    lines = [f"{warning['code']}: {warning['message']}" for warning in warnings]
    return [(WARNING_HEADER, _UNSAFE_IN_HEADERS.sub("?", line)) for line in lines]


def _submission(body: dict[str, Any], *, caller: str) -> Submission:
    return Submission(
        **sent_document(body.get("file"), body.get("text")),
        force_llm=body["force_llm"],
        sensitivity=body.get("sensitivity", "balanced"),
        caller=caller,
    )
