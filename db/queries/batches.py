"""Batches and their items, as their owners see them; batch_queue.py has what workers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, not_, or_, select, update
from sqlalchemy.orm import Session, aliased

from db.queries.batch_queue import now
from db.queries.pages import Position, newest_first
from db.queries.reach import Reach
from db.tables import OPEN_STATES, Batch, BatchItem, BatchState, ItemState, Scan

_UNFINISHED = (ItemState.WAITING, ItemState.RUNNING)
PACE_S = 60.0
"""The seconds over which the rate of a batch is measured."""


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """The items of all users by state, and the time since the oldest batch with a waiting item was sent."""

    items: Mapping[str, int]
    oldest_waiting_s: float


def add_batch(session: Session, values: Mapping[str, Any]) -> None:
    """Insert a batch from its values by attribute.

    Raises:
        IntegrityError: the user is gone, or has a batch with the same idempotency key.
    """
    session.execute(insert(Batch), [dict(values)])


def add_items(session: Session, batch_id: UUID, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert waiting items of a batch, and count them."""
    session.execute(insert(BatchItem), [dict(row) for row in rows])
    counted = update(Batch).where(Batch.id == batch_id)
    session.execute(counted.values(n_waiting=Batch.n_waiting + len(rows)))


def open_batch(session: Session, batch_id: UUID, values: Mapping[str, Any]) -> Batch | None:
    """Let a received batch wait for workers; None if it was removed meanwhile.

    Raises:
        IntegrityError: the user has a batch with the same idempotency key.
    """
    opened = update(Batch).where(Batch.id == batch_id, Batch.state == BatchState.RECEIVING)
    session.execute(opened.values({"state": BatchState.QUEUED, **values}))
    return session.get(Batch, batch_id, populate_existing=True)


def get_batch(session: Session, reach: Reach, batch_id: UUID) -> Batch | None:
    """Return a received batch; None if it is not in reach."""
    query = select(Batch).where(Batch.id == batch_id, *_in_reach(reach))
    return session.scalar(query.where(Batch.state != BatchState.RECEIVING))


def batch_by_key(session: Session, user_id: UUID, key: str) -> Batch | None:
    """Return the batch that a user sent with an idempotency key."""
    query = select(Batch).where(Batch.user_id == user_id, Batch.idempotency_key == key)
    return session.scalar(query)


def list_batches(
    session: Session, reach: Reach, *, limit: int, after: Position | None = None
) -> Sequence[Batch]:
    """Return the received batches in reach, newest first, past the position `after`."""
    query = select(Batch).where(*_in_reach(reach), Batch.state != BatchState.RECEIVING)
    return session.scalars(newest_first(query, Batch, after=after).limit(limit)).all()


def list_items(
    session: Session,
    batch_id: UUID,
    *,
    state: str | None,
    with_warnings: bool = False,
    after_n: int | None,
    limit: int,
) -> Sequence[tuple[BatchItem, int | None, list[dict[str, str]] | None]]:
    """Return items of a batch by position, each with its scan's number of findings and its warnings.

    Both are None without a scan. `with_warnings` leaves out the items whose scan has none.
    """
    query = select(BatchItem, Scan.n_findings, Scan.coverage["warnings"])
    query = query.outerjoin(Scan, Scan.id == BatchItem.scan_id)
    query = query.where(BatchItem.batch_id == batch_id)
    if state is not None:
        query = query.where(BatchItem.state == state)
    if with_warnings:
        query = query.where(Scan.coverage["warnings", 0, "code"].as_string().is_not(None))
    if after_n is not None:
        query = query.where(BatchItem.position > after_n)
    rows = session.execute(query.order_by(BatchItem.position).limit(limit))
    return [(item, n, warnings) for item, n, warnings in rows]


def count_recently_ended(session: Session, batch_id: UUID) -> int:
    """Count the items of a batch that ended within the last PACE_S seconds."""
    since = now(session) - timedelta(seconds=PACE_S)
    query = select(func.count()).where(BatchItem.finished_at >= since)
    return session.scalar(query.where(BatchItem.batch_id == batch_id)) or 0


def cancel_batch(session: Session, batch_id: UUID) -> bool:
    """Cancel what waits or runs; return False if the batch has ended already."""
    at = now(session)
    n = _cancel_items(session, batch_id, at)
    # The items are locked first, as workers do it; their counts are then those of committed transactions.
    counts = {"n_waiting": 0, "n_running": 0, "n_cancelled": Batch.n_cancelled + n}
    ended = update(Batch).where(Batch.id == batch_id, Batch.state.in_(OPEN_STATES))
    changed = ended.values({"state": BatchState.CANCELLED, "finished_at": at, **counts})
    if session.connection().execute(changed).rowcount == 0:
        return False
    # `retry_failed` may have let items wait since, and committed before the batch was locked here.
    if n_late := _cancel_items(session, batch_id, at):
        counted = update(Batch).where(Batch.id == batch_id)
        session.execute(counted.values(n_cancelled=Batch.n_cancelled + n_late))
    return True


def retry_failed(session: Session, batch_id: UUID) -> int | None:
    """Let the failed items of a batch wait again; return their number.

    Returns None if the batch was cancelled or deleted meanwhile. The caller must then roll back.
    """
    failed = update(BatchItem).where(
        BatchItem.batch_id == batch_id, BatchItem.state == ItemState.FAILED
    )
    fresh = {"state": ItemState.WAITING, "attempts": 0, "finished_at": None}
    fresh |= {"error_code": None, "error_detail": None}
    n = session.connection().execute(failed.values(fresh)).rowcount
    counts = {"n_failed": Batch.n_failed - n, "n_waiting": Batch.n_waiting + n}
    reopened = update(Batch).where(Batch.id == batch_id, Batch.state != BatchState.CANCELLED)
    values = {"state": BatchState.QUEUED, "finished_at": None, "ready_at": now(session), **counts}
    if n and session.connection().execute(reopened.values(values)).rowcount == 0:
        return None
    return n


def delete_batch(session: Session, batch_id: UUID) -> None:
    """Delete a batch with its items."""
    session.execute(delete(BatchItem).where(BatchItem.batch_id == batch_id))
    session.execute(delete(Batch).where(Batch.id == batch_id))


def delete_received(session: Session, batch_id: UUID) -> bool:
    """Delete a batch that no worker may see yet, with its items; False, and no change, if it was opened."""
    received = delete(Batch).where(Batch.id == batch_id, Batch.state == BatchState.RECEIVING)
    return session.connection().execute(received).rowcount == 1  # its items go by their foreign key


def list_abandoned(session: Session, *, before: datetime, limit: int) -> Sequence[Batch]:
    """Return batches whose files stopped arriving: received since before a time, and never queued."""
    query = select(Batch).where(Batch.state == BatchState.RECEIVING, Batch.created_at < before)
    return session.scalars(query.limit(limit)).all()


def list_old_batches(
    session: Session, user_id: UUID, *, before: datetime, limit: int
) -> Sequence[UUID]:
    """Return ids of a user's batches that were sent before a time and have ended."""
    is_old = (Batch.created_at < before, Batch.state.not_in(OPEN_STATES))
    return session.scalars(
        select(Batch.id).where(Batch.user_id == user_id, *is_old).limit(limit)
    ).all()


def list_open_batches(session: Session, user_id: UUID) -> Sequence[UUID]:
    """Return ids of a user's batches that wait or run."""
    query = select(Batch.id).where(Batch.user_id == user_id, Batch.state.in_(OPEN_STATES))
    return session.scalars(query).all()


def bytes_of_batch(session: Session, batch_id: UUID) -> set[str]:
    """Return each SHA-256 of bytes that items of a batch have."""
    query = select(BatchItem.sha256).where(BatchItem.batch_id == batch_id)
    return {sha256 for sha256 in session.scalars(query.distinct()) if sha256 is not None}


def list_unneeded(session: Session, *, limit: int) -> Sequence[tuple[UUID, str]]:
    """Return users and SHA-256 of bytes that no item needs any more, which may still be on the disk."""
    query = select(BatchItem.user_id, BatchItem.sha256).join(Batch, Batch.id == BatchItem.batch_id)
    query = query.where(BatchItem.sha256.is_not(None), not_(_needs_its_bytes(BatchItem, Batch)))
    other, batch = aliased(BatchItem), aliased(Batch)
    has_them = (other.sha256 == BatchItem.sha256, other.user_id == BatchItem.user_id)
    is_needed = exists().where(
        batch.id == other.batch_id, *has_them, _needs_its_bytes(other, batch)
    )
    rows = session.execute(query.where(~is_needed).distinct().limit(limit))
    return [(user_id, sha256) for user_id, sha256 in rows if sha256 is not None]


def needed_bytes(session: Session, user_id: UUID, hashes: Sequence[str]) -> set[str]:
    """Return those of these SHA-256 whose bytes an item of this user needs."""
    query = select(BatchItem.sha256).join(Batch, Batch.id == BatchItem.batch_id)
    query = query.where(*_has(user_id, hashes), _needs_its_bytes(BatchItem, Batch))
    return {sha256 for sha256 in session.scalars(query.distinct()) if sha256 is not None}


def forget_bytes(session: Session, user_id: UUID, hashes: Sequence[str]) -> None:
    """Store that no item of this user has the bytes with these SHA-256."""
    session.execute(update(BatchItem).where(*_has(user_id, hashes)).values(sha256=None))


def has_bytes(session: Session, user_id: UUID, sha256: str) -> bool:
    """Return whether an item of this user has these bytes."""
    return bool(session.scalar(select(exists().where(*_has(user_id, [sha256])))))


def stored_bytes(session: Session, user_id: UUID) -> dict[str, int]:
    """Return the bytes that a user's items have: size by SHA-256."""
    query = select(BatchItem.sha256, BatchItem.size_bytes)
    query = query.where(BatchItem.user_id == user_id, BatchItem.sha256.is_not(None))
    return {sha256: size for sha256, size in session.execute(query.distinct()) if sha256}


def users_with_bytes(session: Session) -> set[UUID]:
    """Return the ids of all users whose items have bytes."""
    query = select(BatchItem.user_id).where(BatchItem.sha256.is_not(None))
    return set(session.scalars(query.distinct()))


def queue_figures(session: Session) -> QueueFigures:
    """Return the figures of the queue, from the counts of the batches."""
    names = [f"n_{state}" for state in ItemState]
    sums = session.execute(select(*(func.sum(getattr(Batch, name)) for name in names))).one()
    is_waiting = (Batch.state.in_(OPEN_STATES), Batch.n_waiting > 0)
    oldest = session.scalar(select(func.min(Batch.created_at)).where(*is_waiting))
    age_s = 0.0 if oldest is None else max(0.0, (now(session) - oldest).total_seconds())
    items = {str(state): int(n or 0) for state, n in zip(ItemState, sums, strict=True)}
    return QueueFigures(items, age_s)


def _in_reach(reach: Reach) -> list[ColumnElement[bool]]:
    return [] if reach.is_everyones else [Batch.user_id == reach.owner_id]


def _cancel_items(session: Session, batch_id: UUID, at: datetime) -> int:
    """Cancel the items of a batch that wait or run; return their number."""
    is_open = BatchItem.state.in_(_UNFINISHED)
    cancelled = update(BatchItem).where(BatchItem.batch_id == batch_id, is_open)
    values = {"state": ItemState.CANCELLED, "claim_id": None, "lease_until": None}
    return session.connection().execute(cancelled.values({**values, "finished_at": at})).rowcount


def _needs_its_bytes(item: type[BatchItem], batch: type[Batch]) -> ColumnElement[bool]:
    """Return the condition that an item of a batch is not scanned yet, or failed and may be tried again."""
    may_be_retried = and_(item.state == ItemState.FAILED, batch.state != BatchState.CANCELLED)
    return or_(item.state.in_(_UNFINISHED), may_be_retried)


def _has(user_id: UUID, hashes: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    return BatchItem.sha256.in_(hashes), BatchItem.user_id == user_id
