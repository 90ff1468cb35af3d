"""The audit trail: what was done, by whom, to what; written in the caller's transaction."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries.audit import Event, add_events
from service.observability.request_id import current_client_address, current_request_id


class Action(StrEnum):
    """Everything that leaves a trace; the value is what is stored."""

    USER_REGISTERED = "user.registered"
    USER_LOGGED_IN = "user.logged_in"
    USER_LOGGED_OUT = "user.logged_out"
    USER_ROLE_CHANGED = "user.role_changed"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    LOGIN_FAILED = "login.failed"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - the name of an event, not a secret
    PASSWORD_REFUSED = "password.refused"  # noqa: S105
    PASSWORD_RESET = "password.reset"  # noqa: S105
    TOKEN_REUSED = "token.reused"  # noqa: S105 - the name of an event, not a secret
    SCAN_CREATED = "scan.created"
    SCAN_DELETED = "scan.deleted"
    MODEL_ACTIVATED = "model.activated"
    MODEL_ROLLED_BACK = "model.rolled_back"
    MODEL_SHADOWED = "model.shadowed"
    MODEL_SHADOW_ENDED = "model.shadow_ended"
    FEEDBACK_GIVEN = "feedback.given"
    FEEDBACK_WITHDRAWN = "feedback.withdrawn"
    FEEDBACK_EXPORTED = "feedback.exported"
    ORPHANS_REMOVED = "orphans.removed"


def event(
    action: Action,
    *,
    user_id: UUID | None,
    object_type: str,
    object_id: UUID | None,
    detail: dict[str, Any] | None = None,
) -> Event:
    """Return an event of the current request; `detail` holds no document text and no secret."""
    return Event(
        action=str(action),
        user_id=user_id,
        object_type=object_type,
        object_id=str(object_id) if object_id else None,
        request_id=current_request_id(),
        detail=detail or {},
    )


def account_event(
    action: Action, user_id: UUID | None, *, by: UUID | None, **detail: object
) -> Event:
    """Return an event about the account `user_id`, with the address of the client that caused it."""
    if address := current_client_address():
        detail["client_address"] = address
    return event(action, user_id=by, object_type="user", object_id=user_id, detail=detail)


def record(session: Session, *events: Event) -> None:
    """Add one event or more to the caller's transaction."""
    add_events(session, events)
