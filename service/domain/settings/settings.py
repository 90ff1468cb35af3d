"""Use case of a user's settings: replace them. Each request's authentication reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import settings as queries
from db.queries.users import lock_user
from service.domain.audit import Action, Actor, account_event, record
from service.domain.preferences import Preferences, preferences
from service.domain.versions import Expected, check_version, state_version
from service.errors import Unauthenticated


def put_settings(
    session: Session, user_id: UUID, chosen: Preferences, *, expected: Expected = None
) -> None:
    """Store a user's settings in place of the earlier ones.

    Raises:
        Unauthenticated: the account was deleted meanwhile.
        PreconditionFailed: the earlier ones have none of the versions expected.
    """
    if lock_user(session, user_id) is None:
        raise Unauthenticated("This account was deleted meanwhile.")
    check_version(version(preferences(queries.get_settings(session, user_id))), expected)
    values = {
        "sensitivity": chosen.defaults.sensitivity,
        "force_llm": chosen.defaults.force_llm,
        "thresholds": dict(chosen.defaults.thresholds),
        "retention_days": chosen.retention_days,
        "store_text": chosen.store_text,
        "store_original": chosen.store_original,
    }
    queries.put_settings(session, user_id, {**values, "updated_at": datetime.now(UTC)})
    event = account_event(Action.SETTINGS_CHANGED, user_id, actor=Actor(user_id), **values)
    record(session, event)


def version(chosen: Preferences) -> int:
    """Return a number that differs for other settings."""
    defaults = chosen.defaults
    return state_version(
        defaults.sensitivity,
        defaults.force_llm,
        sorted(defaults.thresholds.items()),
        chosen.retention_days,
        chosen.store_text,
        chosen.store_original,
    )
