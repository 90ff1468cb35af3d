"""/api/v1/admin/blocks: networks whose requests are refused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import request
from marshmallow import RAISE

from db.queries.blocks import list_blocks
from db.tables import Block, Permission, Scope, roles_with
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.schemas.blocks import BlockIn, BlockListOut, BlockOut
from service.api.schemas.fields import CursorQuery
from service.domain.audit import Actor
from service.domain.blocks import NewBlock

blueprint = APIBlueprint(
    "blocks", __name__, url_prefix="/api/v1/admin/blocks", tag="Administration"
)
_ADMINISTRATORS = roles_with(Permission.PEOPLE)


@blueprint.get("")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(BlockListOut)
@blueprint.doc(summary="List the blocked networks, newest first", responses=[403])
def get_blocks(query: dict[str, Any]) -> Listing:
    read = services().transactions.read
    return cursor_page(query, lambda **page: read(list_blocks, **page))


@blueprint.post("")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.input(BlockIn, location="json", arg_name="body")
@blueprint.output(BlockOut, status_code=201)
@blueprint.doc(
    summary="Refuse requests from a network",
    description="Every process refuses them within 5 s with 403 `address_blocked`, except those to "
    "/health. A network with your own address conflicts.",
    responses=[403, 409],
)
def add_block(body: dict[str, Any]) -> Block:
    return services().blocks.add(
        NewBlock(**body), actor=Actor(current_user().id), client_address=request.remote_addr
    )


@blueprint.delete("/<uuid:block_id>")
@blueprint.auth_required(auth, roles=_ADMINISTRATORS)
@key_scope(Scope.ADMIN)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Stop refusing a network", responses=[403])
def delete_block(block_id: UUID) -> str:
    services().blocks.remove(block_id, actor=Actor(current_user().id))
    return ""
