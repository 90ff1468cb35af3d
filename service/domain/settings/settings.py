"""Use case of a user's settings: replace them. Each request's authentication reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import settings as queries
from db.queries.users import lock_user
from service.domain.audit import Action, Actor, account_event, record
from service.domain.preferences import Preferences
from service.errors import Unauthenticated


def put_settings(session: Session, user_id: UUID, chosen: Preferences) -> None:
    """Store a user's settings in place of the earlier ones.

    Raises:
        Unauthenticated: the account was deleted meanwhile.
    """
    if lock_user(session, user_id) is None:
        raise Unauthenticated("This account was deleted meanwhile.")
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
