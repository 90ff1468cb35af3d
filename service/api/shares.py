"""/api/v1/{documents,scans,sessions}/{id}/teams: with which teams the owner shares an object."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.queries.teams import Shared
from db.tables import Scope
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.schemas.fields import CursorQuery
from service.api.schemas.teams import SharedWithListOut
from service.domain.teams import sharing

blueprint = APIBlueprint("shares", __name__, url_prefix="/api/v1", tag="Teams")


def _add_views(path: str, parameter: str, noun: str, kind: Shared, shares_too: str) -> None:
    """Add the three routes below `path`, whose objects have the path parameter `parameter`."""
    url = f"/{path}/<uuid:{parameter}>/teams"

    @blueprint.get(url, endpoint=f"list_teams_of_{noun}")
    @blueprint.auth_required(auth)
    @key_scope(Scope.READ)
    @blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
    @blueprint.output(SharedWithListOut)
    @blueprint.doc(summary=f"List the teams with which the caller shares a {noun}")
    def list_shares(query: dict[str, Any], **ids: UUID) -> Listing:
        user_id, read = current_user().id, services().transactions.read
        return cursor_page(
            query,
            lambda **page: read(sharing.list_shares, user_id, kind, ids[parameter], **page),
        )

    @blueprint.put(f"{url}/<uuid:team_id>", endpoint=f"share_{noun}")
    @blueprint.auth_required(auth)
    @key_scope(Scope.SCAN)
    @blueprint.output({}, status_code=204)
    @blueprint.doc(
        summary=f"Share a {noun} with a team of the caller's",
        description=f"Its members can read the {noun}{shares_too}.",
    )
    def share(team_id: UUID, **ids: UUID) -> str:
        sharing.share(services().transactions, current_user().id, kind, ids[parameter], team_id)
        return ""

    @blueprint.delete(f"{url}/<uuid:team_id>", endpoint=f"unshare_{noun}")
    @blueprint.auth_required(auth)
    @key_scope(Scope.SCAN)
    @blueprint.output({}, status_code=204)
    @blueprint.doc(summary=f"End the sharing of a {noun} with a team")
    def unshare(team_id: UUID, **ids: UUID) -> str:
        run = services().transactions.run
        run(sharing.unshare, current_user().id, kind, ids[parameter], team_id)
        return ""


_add_views("documents", "document_id", "document", Shared.DOCUMENT, ", its text and its scans")
_add_views("scans", "scan_id", "scan", Shared.SCAN, " and its findings, without the document")
_add_views("sessions", "session_id", "session", Shared.WORK_SESSION, " and its files")
