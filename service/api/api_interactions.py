"""/api/v1/admin/api-interactions: which calls the service made to other servers."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.queries.api_interactions import InteractionFilter, list_interactions
from db.tables import Permission, Scope, roles_with
from service.api.current import services
from service.api.http.authentication import auth
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.schemas.api_interactions import ApiInteractionListOut, ApiInteractionQuery

blueprint = APIBlueprint(
    "api_interactions", __name__, url_prefix="/api/v1/admin", tag="Administration"
)


@blueprint.get("/api-interactions")
@blueprint.auth_required(auth, roles=roles_with(Permission.AUDIT))
@key_scope(Scope.ADMIN)
@blueprint.input(ApiInteractionQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(ApiInteractionListOut)
@blueprint.doc(
    summary="List the calls to other servers, newest first, without their content",
    responses=[403],
)
def list_api_interactions(query: dict[str, Any]) -> Listing:
    names = InteractionFilter.__dataclass_fields__
    filters = InteractionFilter(**{name: query[name] for name in names if name in query})
    read = services().transactions.read
    return cursor_page(query, lambda **page: read(list_interactions, filters, **page))
