"""Use cases of a user's settings: replace all, change some. Each request's authentication reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import settings as queries
from db.queries.users import lock_user
from service.domain.audit import Action, Actor, account_event, record
from service.domain.preferences import Preferences, preferences
from service.domain.versions import Expected, check_version, state_version
from service.errors import Unauthenticated
from service.nlp.pipeline import ScanDefaults


def put_settings(
    session: Session, user_id: UUID, chosen: Preferences, *, expected: Expected = None
) -> None:
    """Store a user's settings in place of the earlier ones.

    Raises:
        Unauthenticated: the account was deleted meanwhile.
        PreconditionFailed: the earlier ones have none of the versions expected.
    """
    _locked(session, user_id, expected)
    _store(session, user_id, chosen)


def change_settings(
    session: Session, user_id: UUID, changes: Mapping[str, Any], *, expected: Expected = None
) -> Preferences:
    """Store the named settings, and keep the user's others; return all.

    Raises as `put_settings` does.
    """
    earlier = _locked(session, user_id, expected)
    of_scans = {field.name for field in fields(ScanDefaults)}
    defaults = {name: value for name, value in changes.items() if name in of_scans}
    others = {name: value for name, value in changes.items() if name not in of_scans}
    chosen = replace(earlier, defaults=replace(earlier.defaults, **defaults), **others)
    _store(session, user_id, chosen)
    return chosen


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


def _locked(session: Session, user_id: UUID, expected: Expected) -> Preferences:
    """Lock the account; return its settings, which have one of the versions expected."""
    if lock_user(session, user_id) is None:
        raise Unauthenticated("This account was deleted meanwhile.")
    stored = preferences(queries.get_settings(session, user_id))
    check_version(version(stored), expected)
    return stored


def _store(session: Session, user_id: UUID, chosen: Preferences) -> None:
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
