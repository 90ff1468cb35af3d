"""/api/v1/auth/keys: the caller's API keys. No key reaches these paths: they need a log-in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.queries import api_keys as queries
from db.tables import ApiKey, Scope
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.pagination import Listing, cursor_page
from service.api.http.rate_limits import limit_logins
from service.api.schemas.api_keys import KeyIn, KeyListOut, KeyOut, NewKeyOut, RotationIn
from service.api.schemas.fields import CursorQuery
from service.domain.api_keys import api_keys
from service.domain.api_keys.api_keys import NewKey

blueprint = APIBlueprint("api_keys", __name__, url_prefix="/api/v1/auth/keys", tag="Accounts")
_SHOWN = (
    "id",
    "name",
    "hint",
    "scopes",
    "created_at",
    "expires_at",
    "last_used_at",
    "replaced_by_id",
)


@blueprint.get("")
@blueprint.auth_required(auth)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(KeyListOut)
@blueprint.doc(summary="List the caller's API keys, newest first")
def list_keys(query: dict[str, Any]) -> Listing:
    user_id, read = current_user().id, services().transactions.read
    return cursor_page(query, lambda **page: read(queries.list_keys, user_id, **page))


@blueprint.post("")
@blueprint.auth_required(auth)
@blueprint.input(KeyIn, location="json", arg_name="body")
@blueprint.output(NewKeyOut, status_code=201)
@blueprint.doc(
    summary="Create an API key for a machine",
    description="The response shows the key this once. Send it as `X-API-Key: <key>` or as "
    "`Authorization: ApiKey <key>`.",
    responses=[403, 409, 429],
)
@limit_logins("keys")
def create_key(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    days = body["expires_in_days"]
    new = services().api_keys.create(
        current_user(),
        name=body["name"],
        scopes=[Scope(scope) for scope in body["scopes"]],
        lifetime=None if days is None else timedelta(days=days),
    )
    return _shown_once(new)


@blueprint.get("/<uuid:key_id>")
@blueprint.auth_required(auth)
@blueprint.output(KeyOut)
@blueprint.doc(summary="Get one of the caller's API keys")
def get_key(key_id: UUID) -> ApiKey:
    return services().transactions.read(api_keys.get_key, current_user().id, key_id)


@blueprint.delete("/<uuid:key_id>")
@blueprint.auth_required(auth)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Delete an API key, which stops working at once")
def delete_key(key_id: UUID) -> str:
    services().transactions.run(api_keys.delete_key, current_user().id, key_id)
    return ""


@blueprint.post("/<uuid:key_id>/rotation")
@blueprint.auth_required(auth)
@blueprint.input(RotationIn, location="json_or_form", arg_name="body")
@blueprint.output(NewKeyOut, status_code=201)
@blueprint.doc(
    summary="Replace an API key by a new one",
    description="The new key has the name, scopes and lifetime of the old one, which expires after "
    "`grace_s`, so that the machines can change keys one by one.",
    responses=[409, 429],
)
@limit_logins("keys")
def rotate_key(key_id: UUID, body: dict[str, int]) -> tuple[dict[str, Any], dict[str, str]]:
    grace = timedelta(seconds=body["grace_s"])
    return _shown_once(services().api_keys.rotate(current_user().id, key_id, grace=grace))


def _shown_once(new: NewKey) -> tuple[dict[str, Any], dict[str, str]]:
    fields = {"key": new.text, **{name: getattr(new.key, name) for name in _SHOWN}}
    return fields, {"Location": f"/api/v1/auth/keys/{new.key.id}", "Cache-Control": "no-store"}
