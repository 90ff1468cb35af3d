"""POST /scan: the contract of an AI service, for other back ends; stores nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from apiflask import APIBlueprint
from flask import request

from service.api.current import services
from service.api.http.authentication import auth, current_user, refusal
from service.api.http.response_headers import Headers, warning_headers
from service.api.http.uploads import submission
from service.api.schemas.scans import AnalysisOut, ScanIn

blueprint = APIBlueprint("ai_service", __name__, tag="Scans")


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


@blueprint.post("/scan")
@blueprint.auth_required(auth, optional="AI_SERVICE_OPEN decides, below")
@_admitted
@blueprint.input(ScanIn, location="json_or_form", arg_name="body")
@blueprint.output(AnalysisOut)
@blueprint.doc(
    summary="Scan a document and store nothing",
    responses=[401, 413, 415, 429, 501, 502],
    operation_id="post_scan_analyze",
)
def analyze(body: dict[str, Any]) -> tuple[dict[str, Any], Headers]:
    caller = str(current_user().id) if auth.current_user else request.remote_addr
    result = services().pipeline.scan(submission(body, caller=caller or ""))
    answer = {"data": result.data(), "source": result.analysis.source}
    return answer, warning_headers(result.coverage()["warnings"])
