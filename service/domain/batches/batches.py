"""Use cases of batches as their owners see them: read, cancel, retry, delete. Each takes a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import batches as queries
from db.queries.batch_queue import finish_batch
from db.queries.reach import Reach, own
from db.tables import OPEN_STATES, Batch, BatchState
from service.domain.audit import UNKNOWN, Action, Actor, event, record
from service.errors import Conflict, NotFound

Finished = Callable[[Session, Batch], None]
"""Called in the transaction that finishes a batch."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How fast a batch proceeds: items a second in the last minute, and the seconds left at that rate.

    Both are None unless the batch runs and an item has just ended.
    """

    batch: Batch
    items_per_s: float | None = None
    seconds_left: int | None = None


def find(session: Session, reach: Reach, batch_id: UUID) -> Batch:
    """Return a batch; NotFound if it is not in reach."""
    batch = queries.get_batch(session, reach, batch_id)
    if batch is None:
        raise NotFound("There is no batch with this id that you may read.")
    return batch


def measure(session: Session, reach: Reach, batch_id: UUID) -> Progress:
    """Return a batch with its progress; NotFound if it is not in reach."""
    batch = find(session, reach, batch_id)
    if batch.state != BatchState.RUNNING:
        return Progress(batch)
    age_s = (datetime.now(UTC) - batch.created_at).total_seconds()
    items_per_s = queries.count_recently_ended(session, batch_id) / min(
        queries.PACE_S, max(1.0, age_s)
    )
    if not items_per_s:
        return Progress(batch)
    n_left = batch.n_waiting + batch.n_running
    return Progress(batch, round(items_per_s, 2), round(n_left / items_per_s))


def cancel(session: Session, user_id: UUID, batch_id: UUID) -> bool:
    """Cancel what waits or runs of a user's batch; return False if it has ended already.

    A worker that still scans an item of it stores nothing.
    """
    batch = find(session, own(user_id), batch_id)
    if batch.state not in OPEN_STATES or not queries.cancel_batch(session, batch_id):
        return False
    _record(session, Action.BATCH_CANCELLED, batch)
    return True


def retry(session: Session, user_id: UUID, batch_id: UUID) -> int:
    """Let the failed items of a user's batch wait again; return their number.

    Raises:
        NotFound: the user has no such batch.
        Conflict: it was cancelled, or is cancelled or deleted at the same time.
    """
    batch = find(session, own(user_id), batch_id)
    is_cancelled = batch.state == BatchState.CANCELLED
    n_items = None if is_cancelled else queries.retry_failed(session, batch_id)
    if n_items is None:
        raise Conflict("This batch was cancelled, so its files are gone. Send them in a new batch.")
    if n_items:
        _record(session, Action.BATCH_RETRIED, batch, n_items=n_items)
    return n_items


def delete(session: Session, user_id: UUID, batch_id: UUID) -> None:
    """Delete the rows of a user's batch that has ended; its scans stay."""
    batch = find(session, own(user_id), batch_id)
    queries.delete_batch(session, batch_id)
    _record(session, Action.BATCH_DELETED, batch)


def finish(session: Session, batch_id: UUID, finished: Finished) -> None:
    """Finish a batch if nothing of it waits or runs; call it after each end of an item.

    `finished` is called with the batch, in this transaction.
    """
    if not finish_batch(session, batch_id):
        return
    batch = session.get(Batch, batch_id, populate_existing=True)
    if batch is not None:
        counts = {"n_done": batch.n_done, "n_failed": batch.n_failed}
        ended = event(
            Action.BATCH_FINISHED,
            actor=UNKNOWN,
            object_type="batch",
            object_id=batch_id,
            detail={"owner_id": str(batch.user_id), **counts},
        )
        record(session, ended)
        finished(session, batch)


def record_created(session: Session, batch: Batch) -> None:
    """Add the arrival of a batch to the audit trail."""
    _record(session, Action.BATCH_CREATED, batch, n_items=batch.n_items)


def _record(session: Session, action: Action, batch: Batch, **detail: object) -> None:
    actor = Actor(batch.user_id)
    record(
        session,
        event(action, actor=actor, object_type="batch", object_id=batch.id, detail=detail),
    )
