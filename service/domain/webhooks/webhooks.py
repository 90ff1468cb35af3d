"""Use cases of webhooks: create, change, rotate the secret, delete, and queue an event for delivery."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.orm import Session

from db.queries import webhooks as queries
from db.queries.users import lock_user
from db.tables import DeliveryState, Webhook, WebhookDelivery
from service.domain.audit import Action, Actor, event, record
from service.domain.transactions import Transactions
from service.domain.versions import Expected, check_version, state_version
from service.domain.webhooks.addresses import Destinations
from service.domain.webhooks.signing import WebhookSecrets
from service.errors import Conflict, NotFound, Unauthenticated

BATCH_FINISHED = "batch.finished"
TEST = "webhook.test"
OLD_SECRET_SIGNS_FOR = timedelta(days=1)
_NOT_FOUND = "You have no webhook with this id; GET /api/v1/webhooks lists yours."


@dataclass(frozen=True, slots=True)
class WebhookFields:
    """What a user says about a webhook."""

    name: str
    url: str
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A stored webhook and its secret, which is shown only once."""

    webhook: Webhook
    secret: str


class Webhooks:
    """The webhooks of users."""

    def __init__(
        self,
        transactions: Transactions,
        secrets: WebhookSecrets,
        destinations: Destinations,
        *,
        max_webhooks: int,
    ) -> None:
        """`max_webhooks` is the limit of each account."""
        self._transactions = transactions
        self._secrets = secrets
        self._destinations = destinations
        self._max_webhooks = max_webhooks

    def create(self, user_id: UUID, fields: WebhookFields) -> NewSecret:
        """Store a webhook.

        Raises:
            InvalidRequest: the address is not allowed.
            Conflict: the account has `max_webhooks` webhooks.
        """
        self._destinations.check_url(fields.url)
        webhook = self._transactions.run(self._create, user_id, fields)
        return self._with_secret(webhook)

    def change(
        self, user_id: UUID, webhook_id: UUID, fields: WebhookFields, *, expected: Expected = None
    ) -> Webhook:
        """Replace name, address and state of a webhook; a disabled one gets no events.

        Raises:
            InvalidRequest: the address is not allowed.
            NotFound: the user has no such webhook.
            PreconditionFailed: it has none of the versions expected.
        """
        self._destinations.check_url(fields.url)
        return self._transactions.run(_change, user_id, webhook_id, fields, expected)

    def rotate_secret(self, user_id: UUID, webhook_id: UUID) -> NewSecret:
        """Give a webhook a new secret; the old one signs beside it for OLD_SECRET_SIGNS_FOR.

        Raises:
            NotFound: the user has no such webhook.
        """
        return self._with_secret(self._transactions.run(_rotate, user_id, webhook_id))

    def _create(self, session: Session, user_id: UUID, fields: WebhookFields) -> Webhook:
        if lock_user(session, user_id) is None:
            raise Unauthenticated("This account was deleted meanwhile.")
        if queries.count_webhooks(session, user_id) >= self._max_webhooks:
            raise Conflict(
                f"You have {self._max_webhooks:,} webhooks, the limit (MAX_WEBHOOKS). Delete one first."
            )
        webhook = Webhook(
            id=uuid_utils.compat.uuid7(),
            user_id=user_id,
            name=fields.name,
            url=fields.url,
            is_enabled=fields.is_enabled,
            secret_number=1,
            created_at=datetime.now(UTC),
        )
        session.add(webhook)
        _record(session, Action.WEBHOOK_CREATED, webhook.id, user_id)
        session.flush()
        return webhook

    def _with_secret(self, webhook: Webhook) -> NewSecret:
        return NewSecret(webhook, self._secrets.secret(webhook.id, webhook.secret_number))


def get_webhook(session: Session, user_id: UUID, webhook_id: UUID) -> Webhook:
    """Return a user's webhook; NotFound if there is none with this id."""
    webhook = queries.get_webhook(session, webhook_id, user_id)
    if webhook is None:
        raise NotFound(_NOT_FOUND)
    return webhook


def delete_webhook(session: Session, user_id: UUID, webhook_id: UUID) -> None:
    """Delete a user's webhook with its deliveries; NotFound as in `get_webhook`."""
    if not queries.delete_webhook(session, webhook_id, user_id):
        raise NotFound(_NOT_FOUND)
    _record(session, Action.WEBHOOK_DELETED, webhook_id, user_id)


def emit(session: Session, *, user_id: UUID, event: str, data: Mapping[str, Any]) -> None:
    """Queue an event for each enabled webhook of a user, in the caller's transaction.

    `data` holds ids and counts; no document text, no file name. A webhook that is deleted meanwhile gets
    no event, and does not fail the transaction.
    """
    for webhook_id in queries.lock_enabled(session, user_id):
        _queue(session, webhook_id, event, data)


def send_test(session: Session, user_id: UUID, webhook_id: UUID) -> WebhookDelivery:
    """Queue a test event for one webhook.

    Raises:
        NotFound: as in `get_webhook`.
        Conflict: the webhook is disabled.
    """
    _locked(session, user_id, webhook_id)  # nobody can delete it until the transaction ends
    webhook = _enabled(session, user_id, webhook_id)
    _record(session, Action.WEBHOOK_TESTED, webhook_id, user_id)
    return _queue(session, webhook.id, TEST, {"webhook_id": str(webhook.id)})


def send_again(
    session: Session, user_id: UUID, webhook_id: UUID, delivery_id: UUID
) -> WebhookDelivery:
    """Queue an ended delivery again, under the same message id.

    Raises:
        NotFound: there is no such webhook or delivery.
        Conflict: the webhook is disabled, or the delivery still waits.
    """
    _enabled(session, user_id, webhook_id)
    delivery = queries.lock_delivery(session, delivery_id)
    if delivery is None or delivery.webhook_id != webhook_id:
        raise NotFound("The webhook has no delivery with this id.")
    if delivery.state == DeliveryState.WAITING:
        raise Conflict("This delivery still waits; it is sent by itself.")
    delivery.state, delivery.n_attempts = DeliveryState.WAITING, 0
    delivery.next_attempt_at = datetime.now(UTC)
    _record(session, Action.WEBHOOK_SENT_AGAIN, webhook_id, user_id, delivery_id=str(delivery_id))
    return delivery


def _enabled(session: Session, user_id: UUID, webhook_id: UUID) -> Webhook:
    webhook = get_webhook(session, user_id, webhook_id)
    if not webhook.is_enabled:
        raise Conflict("This webhook is disabled; enable it first.")
    return webhook


def version(webhook: Webhook) -> int:
    """Return a number that differs after a change of the webhook."""
    return state_version(webhook.name, webhook.url, webhook.is_enabled)


def _change(
    session: Session, user_id: UUID, webhook_id: UUID, fields: WebhookFields, expected: Expected
) -> Webhook:
    webhook = _locked(session, user_id, webhook_id)
    check_version(version(webhook), expected)
    webhook.name, webhook.url = fields.name, fields.url
    webhook.is_enabled = fields.is_enabled
    _record(session, Action.WEBHOOK_CHANGED, webhook_id, user_id)
    return webhook


def _rotate(session: Session, user_id: UUID, webhook_id: UUID) -> Webhook:
    webhook = _locked(session, user_id, webhook_id)
    webhook.secret_number += 1
    webhook.old_secret_until = datetime.now(UTC) + OLD_SECRET_SIGNS_FOR
    _record(session, Action.WEBHOOK_SECRET_ROTATED, webhook_id, user_id)
    return webhook


def _locked(session: Session, user_id: UUID, webhook_id: UUID) -> Webhook:
    webhook = queries.lock_webhook(session, webhook_id, user_id)
    if webhook is None:
        raise NotFound(_NOT_FOUND)
    return webhook


def _queue(
    session: Session, webhook_id: UUID, name: str, data: Mapping[str, Any]
) -> WebhookDelivery:
    now = datetime.now(UTC)
    payload = {"type": name, "timestamp": now.isoformat(), "data": data}
    delivery = WebhookDelivery(
        id=uuid_utils.compat.uuid7(),
        webhook_id=webhook_id,
        event=name,
        payload=json.dumps(payload, separators=(",", ":")),
        state=DeliveryState.WAITING,
        n_attempts=0,
        next_attempt_at=now,
        created_at=now,
    )
    session.add(delivery)
    session.flush()
    return delivery


def _record(
    session: Session, action: Action, webhook_id: UUID, user_id: UUID, **detail: str
) -> None:
    about = event(
        action,
        actor=Actor(user_id),
        object_type="webhook",
        object_id=webhook_id,
        detail=detail,
    )
    record(session, about)
