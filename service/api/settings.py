"""/api/v1/settings: what the caller chose for all scans. A request's own fields win over it."""

from __future__ import annotations

from typing import Any

from apiflask import APIBlueprint

from db.tables import Scope
from service.api.current import services
from service.api.http.authentication import auth, current_preferences, current_user
from service.api.http.key_scopes import key_scope
from service.api.http.preconditions import Versioned, takes_if_match, version_etag
from service.api.http.response_headers import etagged
from service.api.schemas.settings import SettingsChangeIn, SettingsIn, SettingsOut
from service.domain.preferences import Preferences
from service.domain.settings import settings
from service.domain.versions import Expected
from service.nlp.pipeline import ScanDefaults

blueprint = APIBlueprint("settings", __name__, url_prefix="/api/v1/settings", tag="Accounts")


@blueprint.get("")
@etagged()
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(SettingsOut)
@blueprint.doc(summary="Get the caller's settings")
def get_settings() -> Versioned[Preferences]:
    chosen = current_preferences()
    return chosen, 200, version_etag(settings.version(chosen))


@blueprint.put("")
@blueprint.auth_required(auth)
@blueprint.input(SettingsIn, location="json", arg_name="body")
@blueprint.output(SettingsOut)
@blueprint.doc(
    summary="Replace all of the caller's settings",
    description="A setting that is left out gets its default: without `store_text`, later scans store the "
    "whole text, and without `retention_days` nothing expires. To change some settings, use PATCH. Settings "
    "apply to later scans, where a request does not say otherwise.",
)
@takes_if_match
def put_settings(body: dict[str, Any], expected: Expected) -> Versioned[Preferences]:
    chosen = Preferences(
        ScanDefaults(body["sensitivity"], body["force_llm"], body["thresholds"]),
        retention_days=body["retention_days"],
        store_text=body["store_text"],
        store_original=body["store_original"],
    )
    run = services().transactions.run
    run(settings.put_settings, current_user().id, chosen, expected=expected)
    return chosen, 200, version_etag(settings.version(chosen))


@blueprint.patch("")
@blueprint.auth_required(auth)
@blueprint.input(SettingsChangeIn, location="json", arg_name="body")
@blueprint.output(SettingsOut)
@blueprint.doc(
    summary="Change some of the caller's settings",
    description="A setting that is left out stays as it is; `thresholds` are replaced as a whole. Settings "
    "apply to later scans, where a request does not say otherwise.",
)
@takes_if_match
def change_settings(body: dict[str, Any], expected: Expected) -> Versioned[Preferences]:
    run = services().transactions.run
    chosen = run(settings.change_settings, current_user().id, body, expected=expected)
    return chosen, 200, version_etag(settings.version(chosen))
