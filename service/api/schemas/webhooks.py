"""Webhooks and their deliveries."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Boolean, Integer, List, Nested, String
from apiflask.validators import Length, OneOf

from db.tables import DeliveryState
from service.api.schemas.fields import JsonBoolean, StrictSchema, Text
from service.domain.webhooks.addresses import MAX_URL_CHARS


class WebhookIn(StrictSchema):
    name = Text(
        required=True,
        validate=Length(1, 100),
        metadata={"description": "What receives the events.", "example": "ticket system"},
    )
    url = Text(
        required=True,
        validate=Length(1, MAX_URL_CHARS),
        metadata={
            "description": "Public https:// address, or one in a network of WEBHOOK_NETWORKS.",
            "example": "https://tickets.example.com/hooks/riskscan",
        },
    )
    is_enabled = JsonBoolean(
        load_default=True, metadata={"description": "false: it gets no events."}
    )


class WebhookOut(Schema):
    id = UUID(required=True)
    name = String(required=True)
    url = String(required=True)
    is_enabled = Boolean(
        required=True,
        metadata={"description": "Also false after the receiver answered 410 Gone."},
    )
    old_secret_until = AwareDateTime(
        required=True,
        allow_none=True,
        default_timezone=UTC,
        metadata={"description": "Until then the secret before the last rotation signs, too."},
    )
    created_at = AwareDateTime(required=True, default_timezone=UTC)


class NewWebhookOut(WebhookOut):
    secret = String(
        required=True,
        metadata={"description": "The secret that signs the events, shown this once."},
    )


class WebhookListOut(Schema):
    items = List(Nested(WebhookOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class DeliveryOut(Schema):
    id = UUID(
        required=True,
        metadata={"description": "The message id is `msg_` and these 32 hex digits."},
    )
    event = String(required=True, metadata={"example": "batch.finished"})
    payload = String(required=True, metadata={"description": "The JSON text that is sent."})
    state = String(required=True, validate=OneOf([*map(str, DeliveryState)]))
    n_attempts = Integer(required=True)
    next_attempt_at = AwareDateTime(
        required=True,
        allow_none=True,
        default_timezone=UTC,
        metadata={"description": "null unless it waits."},
    )
    status = Integer(
        required=True, allow_none=True, metadata={"description": "HTTP status of the last answer."}
    )
    error = String(
        required=True, allow_none=True, metadata={"description": "Why the last attempt failed."}
    )
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    delivered_at = AwareDateTime(required=True, allow_none=True, default_timezone=UTC)


class DeliveryListOut(Schema):
    items = List(Nested(DeliveryOut), required=True)
    next_cursor = String(required=True, allow_none=True)
