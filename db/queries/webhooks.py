"""Webhooks and their deliveries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.orm import Session

from db.queries.pages import Position, newest_first
from db.tables import DeliveryState, Webhook, WebhookDelivery


def get_webhook(session: Session, webhook_id: UUID, user_id: UUID) -> Webhook | None:
    """Return a user's webhook; None for another user's."""
    return session.scalar(_owned(user_id).where(Webhook.id == webhook_id))


def lock_webhook(session: Session, webhook_id: UUID, user_id: UUID) -> Webhook | None:
    """Return a user's webhook as `get_webhook` does, and lock it until the transaction ends."""
    query = _owned(user_id).where(Webhook.id == webhook_id).with_for_update()
    return session.scalar(query.execution_options(populate_existing=True))


def list_webhooks(
    session: Session, user_id: UUID, *, limit: int, after: Position | None = None
) -> Sequence[Webhook]:
    """Return up to `limit` webhooks of a user past the position `after`, newest first."""
    return session.scalars(newest_first(_owned(user_id), Webhook, after=after).limit(limit)).all()


def count_webhooks(session: Session, user_id: UUID) -> int:
    """Return how many webhooks a user has."""
    query = select(func.count()).select_from(Webhook).where(Webhook.user_id == user_id)
    return session.scalar(query) or 0


def lock_enabled(session: Session, user_id: UUID) -> Sequence[UUID]:
    """Return the ids of a user's enabled webhooks, which nobody can delete until the transaction ends."""
    query = select(Webhook.id).where(Webhook.user_id == user_id, Webhook.is_enabled)
    # A shared lock, and on PostgreSQL the weakest: what a foreign key takes. SQLite has one writer anyway.
    return session.scalars(query.with_for_update(read=True, key_share=True)).all()


def delete_webhook(session: Session, webhook_id: UUID, user_id: UUID) -> bool:
    """Delete a user's webhook with its deliveries; return whether there was one."""
    one = delete(Webhook).where(Webhook.id == webhook_id, Webhook.user_id == user_id)
    return session.connection().execute(one).rowcount == 1


def delete_user_webhooks(session: Session, user_id: UUID) -> int:
    """Delete every webhook of a user with its deliveries; return how many there were."""
    of_user = delete(Webhook).where(Webhook.user_id == user_id)
    return session.connection().execute(of_user).rowcount


def get_delivery(session: Session, delivery_id: UUID, webhook_id: UUID) -> WebhookDelivery | None:
    """Return a delivery of a webhook; None for another webhook's."""
    of = (WebhookDelivery.id == delivery_id, WebhookDelivery.webhook_id == webhook_id)
    return session.scalar(select(WebhookDelivery).where(*of))


def lock_delivery(session: Session, delivery_id: UUID) -> WebhookDelivery | None:
    """Return a delivery, and lock it until the transaction ends; None if it was deleted."""
    query = select(WebhookDelivery).where(WebhookDelivery.id == delivery_id).with_for_update()
    return session.scalar(query.execution_options(populate_existing=True))


def list_deliveries(
    session: Session, webhook_id: UUID, *, limit: int, after: Position | None = None
) -> Sequence[WebhookDelivery]:
    """Return up to `limit` deliveries of a webhook past the position `after`, newest first."""
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    return session.scalars(newest_first(query, WebhookDelivery, after=after).limit(limit)).all()


def next_due(
    session: Session, *, at: datetime, except_users: Collection[UUID]
) -> tuple[WebhookDelivery, Webhook] | None:
    """Return the waiting delivery that is due the longest, without those of `except_users`."""
    query = (
        select(WebhookDelivery, Webhook)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(
            WebhookDelivery.state == DeliveryState.WAITING,
            WebhookDelivery.next_attempt_at <= at,
            Webhook.user_id.not_in(list(except_users)),
        )
        .order_by(WebhookDelivery.next_attempt_at)
        .limit(1)
    )
    row = session.execute(query).one_or_none()
    return None if row is None else (row[0], row[1])


def claim(session: Session, delivery: WebhookDelivery, *, until: datetime) -> bool:
    """Keep other senders from a due delivery until a time; return whether this sender is the first."""
    seen = (
        WebhookDelivery.id == delivery.id,
        WebhookDelivery.state == DeliveryState.WAITING,
        WebhookDelivery.n_attempts == delivery.n_attempts,
        WebhookDelivery.next_attempt_at == delivery.next_attempt_at,
    )
    change = update(WebhookDelivery).where(*seen).values(next_attempt_at=until)
    change = change.execution_options(synchronize_session=False)
    return session.connection().execute(change).rowcount == 1


def fail_waiting(session: Session, webhook_id: UUID, *, error: str) -> None:
    """End every waiting delivery of a webhook."""
    waiting = (
        WebhookDelivery.webhook_id == webhook_id,
        WebhookDelivery.state == DeliveryState.WAITING,
    )
    values = {"state": DeliveryState.FAILED, "error": error}
    change = update(WebhookDelivery).where(*waiting).values(values)
    session.execute(change.execution_options(synchronize_session=False))


def delete_old_deliveries(session: Session, *, before: datetime, limit: int) -> int:
    """Delete up to `limit` ended deliveries that are older than a time; return their number."""
    old = (
        WebhookDelivery.created_at < before,
        WebhookDelivery.state != DeliveryState.WAITING,
    )
    ids = session.scalars(select(WebhookDelivery.id).where(*old).limit(limit)).all()
    gone = delete(WebhookDelivery).where(WebhookDelivery.id.in_(ids))
    session.execute(gone.execution_options(synchronize_session=False))
    return len(ids)


def _owned(user_id: UUID) -> Select[Webhook]:
    return select(Webhook).where(Webhook.user_id == user_id)
