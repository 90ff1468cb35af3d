"""/api/v1/llm-usage: what the caller has used of the LLM today."""

from __future__ import annotations

from apiflask import APIBlueprint

from db.tables import Scope
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.schemas.llm_usage import LlmUsageOut
from service.domain.egress.llm_use import Usage

blueprint = APIBlueprint("llm_usage", __name__, url_prefix="/api/v1/llm-usage", tag="Scans")


@blueprint.get("")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(LlmUsageOut)
@blueprint.doc(summary="Get whether the caller may use the LLM, and the tokens of the day")
def get_llm_usage() -> Usage:
    return services().llm_use.usage(current_user())
