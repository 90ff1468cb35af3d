"""Blocked networks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.queries.pages import Position, newest_first
from db.tables import Block


def list_blocks(session: Session, *, limit: int, after: Position | None = None) -> Sequence[Block]:
    """Return up to `limit` blocks, expired ones included, newest first, past the position `after`."""
    return session.scalars(newest_first(select(Block), Block, after=after).limit(limit)).all()


def list_networks(session: Session, *, at: datetime) -> Sequence[tuple[str, datetime | None]]:
    """Return the networks that are blocked at a time, and when each block expires."""
    lasting = Block.expires_at.is_(None) | (Block.expires_at > at)
    rows = session.execute(select(Block.network, Block.expires_at).where(lasting))
    return [(network, expires_at) for network, expires_at in rows]


def count_blocks(session: Session) -> int:
    """Return the number of blocks, expired ones included."""
    return session.scalar(select(func.count()).select_from(Block)) or 0


def get_block(session: Session, block_id: UUID) -> Block | None:
    """Return a block; None if there is none with this id."""
    return session.get(Block, block_id)
