"""Tokens of the LLM by user and day."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import CursorResult, insert, select, update
from sqlalchemy.orm import Session

from db.tables import Base, LlmUsage

_USAGE = Base.metadata.tables[LlmUsage.__tablename__]


def used_tokens(session: Session, user_id: UUID, day: date) -> int:
    """Return the tokens of a user on a day, reservations included."""
    usage = session.get(LlmUsage, (user_id, day))
    return usage.tokens if usage else 0


def add_tokens(session: Session, user_id: UUID, day: date, n_tokens: int, *, limit: int) -> bool:
    """Add tokens unless they would exceed `limit`; return whether they are added.

    Raises:
        IntegrityError: another transaction has just stored the first row of the day.
    """
    here = (_USAGE.c.user_id == user_id, _USAGE.c.day == day)
    more = update(_USAGE).where(*here, _USAGE.c.tokens + n_tokens <= limit)
    added: CursorResult[tuple[()]] = session.connection().execute(
        more.values(tokens=_USAGE.c.tokens + n_tokens)
    )
    if added.rowcount == 1:
        return True
    if n_tokens > limit or session.scalar(select(_USAGE.c.day).where(*here)) is not None:
        return False
    session.execute(insert(_USAGE).values(user_id=user_id, day=day, tokens=n_tokens))
    return True


def change_tokens(session: Session, user_id: UUID, day: date, n_tokens: int) -> None:
    """Add tokens, or take them back if negative, whatever the limit."""
    here = (_USAGE.c.user_id == user_id, _USAGE.c.day == day)
    session.execute(update(_USAGE).where(*here).values(tokens=_USAGE.c.tokens + n_tokens))
