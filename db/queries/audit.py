"""The audit trail: appended to, sealed, read."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy import bindparam, insert, null, select, update
from sqlalchemy.orm import Session

from db import commit_markers
from db.queries.filters import conditions
from db.queries.pages import Position, newest_first
from db.tables import AuditEvent, AuditSeal, Base
from db.tables.audit import SALT

_EVENTS = Base.metadata.tables[AuditEvent.__tablename__]
_EQUAL = ("action", "user_id", "object_type", "object_id", "request_id")
_INSERT = insert(_EVENTS)
_NEWEST_SEAL = select(AuditSeal).order_by(AuditSeal.number.desc()).limit(1)
_SEAL = (
    update(_EVENTS)
    .where(_EVENTS.c.id == bindparam("row_id"))
    .values(n=bindparam("new_n"), digest=bindparam("new_digest"))
)


@dataclass(frozen=True, slots=True)
class Event:
    """An event to record; `detail` is JSON without secrets or document text.

    With an `id`, the database refuses to store it twice; without one, it gets a new id.
    """

    action: str
    user_id: UUID | None
    object_type: str
    object_id: str | None
    request_id: str | None
    detail: Mapping[str, Any]
    personal: Mapping[str, Any] | None = None
    """What the deletion of an account blanks."""
    id: UUID | None = None


def add_events(session: Session, events: Sequence[Event]) -> None:
    """Insert one event or more with the current time; the last becomes the transaction's commit marker."""
    now = datetime.now(UTC)
    rows = [
        {
            "id": event.id or uuid_utils.compat.uuid7(),
            "created_at": now,
            "action": event.action,
            "user_id": event.user_id,
            "object_type": event.object_type,
            "object_id": event.object_id,
            "request_id": event.request_id,
            "detail": dict(event.detail),
            **_personal(event),
        }
        for event in events
    ]
    session.connection().execute(_INSERT, rows)
    commit_markers.set_marker(session, _EVENTS, rows[-1])


def add_new_events(session: Session, events: Sequence[Event]) -> None:
    """Do as `add_events` does with those events whose id is not stored yet, if there are any.

    Raises:
        IntegrityError: another transaction stored one meanwhile.
    """
    ids = [event.id for event in events]
    stored = set(session.scalars(select(AuditEvent.id).where(AuditEvent.id.in_(ids))))
    if new := [event for event in events if event.id not in stored]:
        add_events(session, new)


def personal_digest(personal: Mapping[str, Any]) -> str:
    """Return the sha256 (hex) of an event's personal fields and their salt."""
    text = json.dumps(personal, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def erase_personal(session: Session, user_id: UUID, *, limit: int) -> int:
    """Blank the personal fields of up to `limit` events by an account, or by unknown people about it.

    Returns the number of events.
    """
    at_account = (AuditEvent.object_type == "user", AuditEvent.object_id == str(user_id))
    n = 0
    for which in ((AuditEvent.user_id == user_id,), (AuditEvent.user_id.is_(None), *at_account)):
        query = select(AuditEvent.id).where(*which, AuditEvent.personal_digest.is_not(None))
        ids = session.scalars(query.where(_EVENTS.c.personal.is_not(null())).limit(limit - n)).all()
        if ids:
            session.execute(update(_EVENTS).where(_EVENTS.c.id.in_(ids)).values(personal=None))
        n += len(ids)
        if n == limit:
            break
    return n


def _personal(event: Event) -> dict[str, Any]:
    if not event.personal:
        return {"personal": None, "personal_digest": None}
    personal = {**event.personal, SALT: secrets.token_hex(16)}
    return {"personal": personal, "personal_digest": personal_digest(personal)}


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Filters for the list of events; a field that is None does not filter.

    `created_from` is inclusive, `created_before` exclusive.
    """

    action: str | None = None
    user_id: UUID | None = None
    object_type: str | None = None
    object_id: str | None = None
    request_id: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


def list_events(
    session: Session,
    filters: EventFilter | None = None,
    *,
    limit: int,
    after: Position | None = None,
) -> Sequence[AuditEvent]:
    """Return up to `limit` events, newest first (created_at, then id), past the position `after`."""
    query = newest_first(select(AuditEvent), AuditEvent, after=after)
    if filters is not None:
        query = query.where(*conditions(AuditEvent, filters, *_EQUAL))
    return session.scalars(query.limit(limit)).all()


def lock_newest_seal(session: Session) -> AuditSeal | None:
    """Return the newest seal, locked until the transaction ends; None before the first."""
    return session.scalar(_NEWEST_SEAL.with_for_update())


def newest_seal(session: Session) -> AuditSeal | None:
    """Return the newest seal; None before the first."""
    return session.scalar(_NEWEST_SEAL)


def list_unsealed(session: Session, *, limit: int) -> Sequence[AuditEvent]:
    """Return up to `limit` events without a number, oldest first."""
    query = select(AuditEvent).where(AuditEvent.n.is_(None))
    return session.scalars(query.order_by(AuditEvent.created_at, AuditEvent.id).limit(limit)).all()


def add_seal(session: Session, digests: Mapping[UUID, tuple[int, str]], seal: AuditSeal) -> None:
    """Store number and digest of events by their ids, and the seal.

    Raises:
        IntegrityError: another process sealed events meanwhile.
    """
    rows = [{"row_id": k, "new_n": n, "new_digest": digest} for k, (n, digest) in digests.items()]
    session.add(seal)
    session.flush()
    session.connection().execute(_SEAL, rows)


def list_sealed(session: Session, *, after_n: int, limit: int) -> Sequence[AuditEvent]:
    """Return up to `limit` sealed events with a number above `after_n`, in their order."""
    query = select(AuditEvent).where(AuditEvent.n > after_n)
    return session.scalars(query.order_by(AuditEvent.n).limit(limit)).all()


def list_seals(session: Session, *, after_n: int, until_n: int) -> Sequence[AuditSeal]:
    """Return the seals of the events after_n < n <= until_n."""
    query = select(AuditSeal).where(AuditSeal.last_n > after_n, AuditSeal.last_n <= until_n)
    return session.scalars(query.order_by(AuditSeal.last_n)).all()
