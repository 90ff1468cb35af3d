"""/api/v1/webhooks: the caller's webhooks. No API key reaches these paths: they need a log-in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.queries import webhooks as queries
from db.tables import DeliveryState, Webhook, WebhookDelivery
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.pagination import Listing, cursor_page
from service.api.http.preconditions import Versioned, takes_if_match, version_etag
from service.api.schemas.fields import CursorQuery
from service.api.schemas.webhooks import (
    DeliveryListOut,
    DeliveryOut,
    NewWebhookOut,
    WebhookIn,
    WebhookListOut,
    WebhookOut,
)
from service.domain.versions import Expected
from service.domain.webhooks import webhooks
from service.domain.webhooks.webhooks import NewSecret, WebhookFields

blueprint = APIBlueprint("webhooks", __name__, url_prefix="/api/v1/webhooks", tag="Webhooks")
_SHOWN = ("id", "name", "url", "is_enabled", "old_secret_until", "created_at")


@blueprint.get("")
@blueprint.auth_required(auth)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(WebhookListOut)
@blueprint.doc(summary="List the caller's webhooks, newest first")
def list_webhooks(query: dict[str, Any]) -> Listing:
    user_id, read = current_user().id, services().transactions.read
    return cursor_page(query, lambda **page: read(queries.list_webhooks, user_id, **page))


@blueprint.post("")
@blueprint.auth_required(auth)
@blueprint.input(WebhookIn, location="json", arg_name="body")
@blueprint.output(NewWebhookOut, status_code=201)
@blueprint.doc(
    summary="Send events to an address",
    description="Events are signed by the Standard Webhooks scheme, with the secret that the response "
    "shows this once. `batch.finished` is sent when a batch has no item left to scan.",
    responses=[409],
)
def create_webhook(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    return _shown_once(services().webhooks.create(current_user().id, WebhookFields(**body)))


@blueprint.get("/<uuid:webhook_id>")
@blueprint.auth_required(auth)
@blueprint.output(WebhookOut)
@blueprint.doc(summary="Get one of the caller's webhooks")
def get_webhook(webhook_id: UUID) -> Versioned[Webhook]:
    read = services().transactions.read
    webhook = read(webhooks.get_webhook, current_user().id, webhook_id)
    return webhook, 200, version_etag(webhooks.version(webhook))


@blueprint.put("/<uuid:webhook_id>")
@blueprint.auth_required(auth)
@blueprint.input(WebhookIn, location="json", arg_name="body")
@blueprint.output(WebhookOut)
@blueprint.doc(summary="Change the name or address of a webhook, disable or enable it")
@takes_if_match
def put_webhook(webhook_id: UUID, body: dict[str, Any], expected: Expected) -> Versioned[Webhook]:
    fields, user_id = WebhookFields(**body), current_user().id
    webhook = services().webhooks.change(user_id, webhook_id, fields, expected=expected)
    return webhook, 200, version_etag(webhooks.version(webhook))


@blueprint.delete("/<uuid:webhook_id>")
@blueprint.auth_required(auth)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Delete a webhook and the log of its deliveries")
def delete_webhook(webhook_id: UUID) -> str:
    services().transactions.run(webhooks.delete_webhook, current_user().id, webhook_id)
    return ""


@blueprint.post("/<uuid:webhook_id>/rotation")
@blueprint.auth_required(auth)
@blueprint.output(NewWebhookOut, status_code=201)
@blueprint.doc(
    summary="Give a webhook a new secret",
    description="For a day both secrets sign each event, so that the receiver can change over.",
)
def rotate_secret(webhook_id: UUID) -> tuple[dict[str, Any], dict[str, str]]:
    return _shown_once(services().webhooks.rotate_secret(current_user().id, webhook_id))


@blueprint.post("/<uuid:webhook_id>/test")
@blueprint.auth_required(auth)
@blueprint.output(DeliveryOut, status_code=202)
@blueprint.doc(summary="Send the event webhook.test", responses=[409])
def test_webhook(webhook_id: UUID) -> dict[str, Any]:
    run = services().transactions.run
    return _delivery(run(webhooks.send_test, current_user().id, webhook_id))


@blueprint.get("/<uuid:webhook_id>/deliveries")
@blueprint.auth_required(auth)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(DeliveryListOut)
@blueprint.doc(summary="List the deliveries of a webhook, newest first")
def list_deliveries(webhook_id: UUID, query: dict[str, Any]) -> Listing:
    user_id, read = current_user().id, services().transactions.read
    read(webhooks.get_webhook, user_id, webhook_id)
    return cursor_page(
        query, lambda **page: read(queries.list_deliveries, webhook_id, **page), show=_delivery
    )


@blueprint.post("/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/redelivery")
@blueprint.auth_required(auth)
@blueprint.output(DeliveryOut, status_code=202)
@blueprint.doc(
    summary="Send an ended delivery again",
    description="It keeps its message id, by which the receiver knows it.",
    responses=[409],
)
def send_again(webhook_id: UUID, delivery_id: UUID) -> dict[str, Any]:
    run = services().transactions.run
    return _delivery(run(webhooks.send_again, current_user().id, webhook_id, delivery_id))


def _delivery(delivery: WebhookDelivery) -> dict[str, Any]:
    names = DeliveryOut().fields
    shown = {name: getattr(delivery, name) for name in names}
    if delivery.state != DeliveryState.WAITING:
        shown["next_attempt_at"] = None
    return shown


def _shown_once(new: NewSecret) -> tuple[dict[str, Any], dict[str, str]]:
    fields = {"secret": new.secret, **{name: getattr(new.webhook, name) for name in _SHOWN}}
    return fields, {"Location": f"/api/v1/webhooks/{new.webhook.id}", "Cache-Control": "no-store"}
