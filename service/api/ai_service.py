"""POST /scan: scans for other services, in the contract that AI_SERVICE_URL expects. Stores nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from apiflask import APIBlueprint

from db.tables import Scope
from service.api.current import services
from service.api.http.authentication import auth, authentication_error, current_preferences
from service.api.http.key_scopes import key_scope
from service.api.http.rate_limits import limit_documents
from service.api.http.request_context import current_context
from service.api.http.response_headers import Headers, warning_headers
from service.api.http.uploads import submission
from service.api.schemas.scans import AnalysisOut, ScanIn
from service.domain.current_scan import scanning

blueprint = APIBlueprint("ai_service", __name__, tag="Scans")


def _require_token_unless_open(view: Callable[..., Any]) -> Callable[..., Any]:
    """Reject callers without a token before reading the document, unless AI_SERVICE_OPEN is set."""

    @wraps(view)
    def checked(**arguments: Any) -> Any:  # noqa: ANN401 - any view's
        if auth.current_user is None and not services().config.ai_service_open:
            raise authentication_error()
        return view(**arguments)

    return checked


@blueprint.post("/scan")
@blueprint.auth_required(auth, optional="AI_SERVICE_OPEN decides, below")
@key_scope(Scope.SCAN)
@_require_token_unless_open
@blueprint.input(ScanIn, location="json_or_form", arg_name="body")
@blueprint.output(AnalysisOut)
@blueprint.doc(
    summary="Scan a document and store nothing",
    responses=[401, 413, 415, 429, 501, 502],
    operation_id="post_scan_analyze",
)
@limit_documents
def analyze(body: dict[str, Any]) -> tuple[dict[str, Any], Headers]:
    began_s = time.monotonic()
    with scanning(None, current_context().account_id):
        result = services().pipeline.scan(
            submission(body).with_defaults(current_preferences().defaults)
        )
    services().scan_reporter.report(result, duration_s=time.monotonic() - began_s)
    analysis = {"data": result.data(), "source": result.analysis.source}
    return analysis, warning_headers(result.coverage()["warnings"])
