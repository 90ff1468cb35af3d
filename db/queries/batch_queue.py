"""The queue of batch items: claims, leases and results. Every function keeps the counts of the batch.

Locks are taken in one order, items before their batch, so that workers and requests do not deadlock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import ColumnElement, Select, and_, case, func, select, update
from sqlalchemy.dialects.mysql.base import MySQLDialect
from sqlalchemy.orm import Session, aliased

from db.queries.clock import server_time
from db.tables import OPEN_STATES, Batch, BatchItem, BatchState, ItemState, User

MAX_ATTEMPTS = 3
"""Claims of an item that may end without a result; a document that ends workers must not do so for ever."""
_CANDIDATES = 8
"""Users, and batches of each, that one claim looks at; all but the first if others lock the waiting items."""
_SKIP_LOCKED_SINCE = {True: (10, 6), False: (8, 0, 1)}
"""First version with SKIP LOCKED, by whether the server is a MariaDB."""


@dataclass(frozen=True, slots=True)
class ItemClaim:
    """The right to store the result of an item, until its lease ends or somebody takes the item back."""

    item_id: UUID
    batch_id: UUID
    claim_id: UUID


def now(session: Session) -> datetime:
    """Return the database's time, so that leases do not depend on the clocks of workers."""
    return server_time(session) or datetime.now(UTC)


def claim_item(session: Session, *, worker: str, lease: timedelta) -> BatchItem | None:
    """Claim the next item; None if nothing waits.

    The next item belongs to the user with the fewest running items, among equals to the one who was served
    least recently; of that user's batches, the one is chosen in the same way.
    """
    moment = now(session)
    for user_id in session.scalars(_users_to_serve(moment)).all():
        for batch_id in session.scalars(_batches_to_serve(user_id, moment)).all():
            item_id = session.scalar(_next_item(session, batch_id))
            if item_id is not None and _claim(session, item_id, worker, moment + lease):
                _count(session, batch_id, ItemState.WAITING, ItemState.RUNNING, served_at=moment)
                return session.get(BatchItem, item_id, populate_existing=True)
    return None


def renew_claims(session: Session, claims: Collection[ItemClaim], *, lease: timedelta) -> set[UUID]:
    """Extend the leases of claims; return the claim ids of those that are still held."""
    # Read by the items' ids: no index has the claims.
    are_held = and_(
        BatchItem.id.in_([claim.item_id for claim in claims]),
        BatchItem.claim_id.in_([claim.claim_id for claim in claims]),
    )
    held = session.scalars(select(BatchItem.claim_id).where(are_held)).all()
    session.execute(update(BatchItem).where(are_held).values(lease_until=now(session) + lease))
    return {claim_id for claim_id in held if claim_id is not None}


def end_item(
    session: Session, claim: ItemClaim, state: ItemState, values: Mapping[str, Any]
) -> bool:
    """Store the end of a claimed item; return False, and change nothing, if the claim is lost."""
    if not _release(session, claim, {"state": state, "finished_at": now(session), **values}):
        return False
    _count(session, claim.batch_id, ItemState.RUNNING, state)
    return True


def return_item(session: Session, claim: ItemClaim, *, counts: bool) -> bool:
    """Let a claimed item wait again, without its attempt unless that `counts`; False if the claim is lost."""
    values: dict[str, Any] = {"state": ItemState.WAITING}
    if not counts:
        values["attempts"] = BatchItem.attempts - 1
    if not _release(session, claim, values):
        return False
    _count(session, claim.batch_id, ItemState.RUNNING, ItemState.WAITING)
    return True


def list_expired(session: Session, *, limit: int) -> Sequence[BatchItem]:
    """Return running items whose lease has ended, since their worker died or lost the database."""
    is_expired = and_(BatchItem.state == ItemState.RUNNING, BatchItem.lease_until < now(session))
    return session.scalars(select(BatchItem).where(is_expired).limit(limit)).all()


def lock_expired(session: Session, claim: ItemClaim) -> bool:
    """Lock the item of a claim whose lease has ended; False if it was renewed or is lost."""
    query = select(BatchItem.id).where(
        BatchItem.id == claim.item_id,
        BatchItem.claim_id == claim.claim_id,
        BatchItem.lease_until < now(session),
    )
    return session.scalar(query.with_for_update()) is not None


def finish_batch(session: Session, batch_id: UUID) -> bool:
    """Store that a batch is finished if no item of it waits or runs; return whether this call did so.

    The caller has changed an item of the batch in this transaction, and thereby locked the batch's row.
    """
    is_through = (Batch.n_waiting == 0, Batch.n_running == 0, Batch.state.in_(OPEN_STATES))
    finished = update(Batch).where(Batch.id == batch_id, *is_through)
    values = {"state": BatchState.FINISHED, "finished_at": now(session)}
    return session.connection().execute(finished.values(values)).rowcount == 1


def pause(session: Session, batch_id: UUID, *, of_user: UUID | None, seconds: float) -> None:
    """Claim no item of a batch, or of all batches of a user, for a time."""
    which = Batch.id == batch_id if of_user is None else Batch.user_id == of_user
    paused = update(Batch).where(which, Batch.state.in_(OPEN_STATES))
    session.execute(paused.values(ready_at=now(session) + timedelta(seconds=seconds)))


def has_waiting(session: Session) -> bool:
    """Return whether a worker could claim an item now."""
    return session.scalar(_users_to_serve(now(session)).limit(1)) is not None


def count_waiting(session: Session) -> int:
    """Return the number of items that workers could claim now."""
    query = select(func.sum(Batch.n_waiting)).where(
        Batch.state.in_(OPEN_STATES), _may_run(now(session))
    )
    return int(session.scalar(query) or 0)


def _users_to_serve(moment: datetime) -> Select[Any]:
    """Return the query of the users with items that may run, the next one first."""
    other = aliased(Batch)
    served_at = (
        select(func.max(other.served_at)).where(other.user_id == Batch.user_id).correlate(Batch)
    )
    return (
        select(Batch.user_id)
        .join(User, and_(User.id == Batch.user_id, User.disabled_at.is_(None)))
        .where(Batch.state.in_(OPEN_STATES))
        .group_by(Batch.user_id)
        .having(func.max(case((_may_run(moment), 1), else_=0)) == 1)
        .order_by(func.sum(Batch.n_running), served_at.scalar_subquery(), Batch.user_id)
        .limit(_CANDIDATES)
    )


def _batches_to_serve(user_id: UUID, moment: datetime) -> Select[Any]:
    query = select(Batch.id).where(
        Batch.user_id == user_id, Batch.state.in_(OPEN_STATES), _may_run(moment)
    )
    return query.order_by(Batch.n_running, Batch.served_at, Batch.id).limit(_CANDIDATES)


def _may_run(moment: datetime) -> ColumnElement[bool]:
    return and_(Batch.n_waiting > 0, Batch.ready_at <= moment)


def _next_item(session: Session, batch_id: UUID) -> Select[Any]:
    """Return the query of a waiting item that no other worker is claiming; retried ones come last."""
    query = (
        select(BatchItem.id)
        .where(BatchItem.batch_id == batch_id, BatchItem.state == ItemState.WAITING)
        .order_by(BatchItem.attempts, BatchItem.position)
        .limit(1)
    )
    return query.with_for_update(skip_locked=True) if _skips_locked(session) else query


def _skips_locked(session: Session) -> bool:
    dialect = session.get_bind().dialect
    if not isinstance(dialect, MySQLDialect):
        return dialect.name == "postgresql"  # SQLite locks the whole database anyway
    return (dialect.server_version_info or ()) >= _SKIP_LOCKED_SINCE[dialect.is_mariadb]


def _claim(session: Session, item_id: UUID, worker: str, lease_until: datetime) -> bool:
    """Claim an item if it still waits: on a server without SKIP LOCKED, another worker may be faster."""
    claimed = update(BatchItem).where(BatchItem.id == item_id, BatchItem.state == ItemState.WAITING)
    values = {
        "state": ItemState.RUNNING,
        "attempts": BatchItem.attempts + 1,
        "worker": worker,
        "claim_id": uuid_utils.compat.uuid7(),
        "lease_until": lease_until,
    }
    return session.connection().execute(claimed.values(values)).rowcount == 1


def _release(session: Session, claim: ItemClaim, values: Mapping[str, Any]) -> bool:
    released = update(BatchItem).where(
        BatchItem.id == claim.item_id, BatchItem.claim_id == claim.claim_id
    )
    free = {"claim_id": None, "lease_until": None, **values}
    return session.connection().execute(released.values(free)).rowcount == 1


def _count(
    session: Session, batch_id: UUID, before: ItemState, after: ItemState, **values: datetime
) -> None:
    """Move one item of a batch from one count to another."""
    columns = {state: getattr(Batch, f"n_{state}") for state in (before, after)}
    changed = {f"n_{before}": columns[before] - 1, f"n_{after}": columns[after] + 1, **values}
    if after is ItemState.RUNNING:
        changed["state"] = BatchState.RUNNING
    session.execute(update(Batch).where(Batch.id == batch_id).values(changed))
