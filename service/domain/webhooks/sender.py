"""Sends the waiting deliveries of webhooks, and tries again those that fail."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import webhooks as queries
from db.tables import DeliveryState, Webhook, WebhookDelivery
from service.domain.transactions import Transactions
from service.domain.webhooks.addresses import Destinations
from service.domain.webhooks.connection import TIMEOUT_S, NotDelivered, post
from service.domain.webhooks.signing import WebhookSecrets

EVERY_S = 2.0
"""Seconds between two looks at the waiting deliveries."""
RETRY_AFTER_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Waits after the first, second and later failed attempts, as the specification suggests: 3 days in all."""
GONE = 410
_CLAIM_FOR = timedelta(seconds=2 * TIMEOUT_S)
_ROWS_AT_ONCE = 200
_MAX_SERVED = 500
"""Users that are remembered as served, which bounds the query that leaves them out."""
_log = logging.getLogger(__name__)
_Due = tuple[WebhookDelivery, Webhook]


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one attempt: the HTTP status, or why there is none."""

    status: int | None = None
    error: str | None = None

    @property
    def is_delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class WebhookSender:
    """Sends deliveries. Threads and processes may share the work: each delivery is claimed first.

    A delivery may arrive twice, with the same message id, if a process dies while it sends.
    """

    def __init__(
        self,
        transactions: Transactions,
        secrets: WebhookSecrets,
        destinations: Destinations,
        *,
        post: Callable[..., int] = post,
    ) -> None:
        self._transactions = transactions
        self._secrets = secrets
        self._destinations = destinations
        self._post = post
        self._lock = threading.Lock()  # guards the fields below
        self._busy: set[UUID] = set()
        self._served: dict[UUID, None] = {}
        """The users of this round, in which each has one attempt, oldest first."""

    def send_due(self, *, is_stopping: Callable[[], bool] = lambda: False) -> int:
        """Send every delivery that is due, until `is_stopping`; return how many attempts that took."""
        n_attempts = 0
        while not is_stopping() and self._send_next():
            n_attempts += 1
        return n_attempts

    def _send_next(self) -> bool:
        with self._claimed() as due:
            if due is None:
                return False
            delivery, webhook = due
            answer = self._attempt(delivery, webhook)
            self._transactions.run(_store, delivery.id, delivery.n_attempts, answer)
            return True

    @contextmanager
    def _claimed(self) -> Iterator[_Due | None]:
        """Claim the next delivery, of a user to whom this process sends nothing else meanwhile.

        So one user's receivers that do not answer keep one thread busy, not all. Users take turns, so several
        such users delay each other user's event by an attempt each, not by all that they have waiting.
        """
        with self._lock:
            due = self._next()
            if due is not None:
                self._busy.add(due[1].user_id)
                self._note_served(due[1].user_id)
        try:
            yield due
        finally:
            if due is not None:
                with self._lock:
                    self._busy.discard(due[1].user_id)

    def _next(self) -> _Due | None:
        """Claim a due delivery; while there is none, this only reads."""
        while True:
            due = self._find(self._busy | self._served.keys())
            if due is None and self._served:
                self._served.clear()  # the next round begins
                due = self._find(self._busy)
            if due is None or self._transactions.run(_claim, *due):
                return due

    def _find(self, except_users: Collection[UUID]) -> _Due | None:
        now = datetime.now(UTC)
        return self._transactions.read(queries.next_due, at=now, except_users=except_users)

    def _note_served(self, user_id: UUID) -> None:
        self._served.pop(user_id, None)
        self._served[user_id] = None
        while len(self._served) > _MAX_SERVED:
            del self._served[next(iter(self._served))]

    def _attempt(self, delivery: WebhookDelivery, webhook: Webhook) -> Answer:
        """Send once. Every failure is an answer, so that it counts and no other delivery waits for it."""
        try:
            headers = self._secrets.headers(webhook, delivery)
            body = delivery.payload.encode()
            status = self._post(webhook.url, body, headers, to=self._destinations)
        except NotDelivered as error:
            return Answer(error=str(error))
        except Exception as error:  # noqa: BLE001 - the edge of the task; a raise would leave it due
            kind = type(error).__name__  # its message may quote the address or the payload
            _log.error("webhook delivery %s failed unexpectedly: %s", delivery.id, kind)
            return Answer(error=f"the service could not send it ({kind})")
        answer = Answer(status)
        return answer if answer.is_delivered else Answer(status, f"the receiver answered {status}")


def delete_old(transactions: Transactions, *, days: int) -> int:
    """Delete the ended deliveries that are older than `days`; return their number."""
    before, n_deleted, n = datetime.now(UTC) - timedelta(days=days), 0, _ROWS_AT_ONCE
    while n == _ROWS_AT_ONCE:
        n = transactions.run(queries.delete_old_deliveries, before=before, limit=_ROWS_AT_ONCE)
        n_deleted += n
    return n_deleted


def _claim(session: Session, delivery: WebhookDelivery, webhook: Webhook) -> bool:
    """Return whether the delivery is to be sent by this sender."""
    if webhook.is_enabled:
        return queries.claim(session, delivery, until=datetime.now(UTC) + _CLAIM_FOR)
    queries.fail_waiting(session, webhook.id, error="the webhook is disabled")
    return False


def _store(session: Session, delivery_id: UUID, n_attempts: int, answer: Answer) -> None:
    """Store an attempt's outcome, unless the delivery was changed or deleted while it was sent."""
    delivery = queries.lock_delivery(session, delivery_id)
    if delivery is None or delivery.n_attempts != n_attempts:
        return
    now = datetime.now(UTC)
    delivery.n_attempts += 1
    delivery.status, delivery.error = answer.status, answer.error
    if answer.is_delivered:
        delivery.state, delivery.delivered_at = DeliveryState.DELIVERED, now
    elif answer.status == GONE:
        _disable(session, delivery.webhook_id)
        delivery.state = DeliveryState.FAILED
    elif n_attempts < len(RETRY_AFTER_S):
        delivery.next_attempt_at = now + timedelta(seconds=RETRY_AFTER_S[n_attempts])
    else:
        delivery.state = DeliveryState.FAILED


def _disable(session: Session, webhook_id: UUID) -> None:
    webhook = session.get(Webhook, webhook_id)
    if webhook is not None:
        webhook.is_enabled = False
    session.flush()
    queries.fail_waiting(session, webhook_id, error="the receiver answered 410: webhook disabled")
