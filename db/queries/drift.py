"""Histograms of scans by model, hour and process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, delete, func, insert, select, update
from sqlalchemy.orm import Session

from db.tables import Base, DriftCounts

_COUNTS = Base.metadata.tables[DriftCounts.__tablename__]


def store_counts(session: Session, row: DriftCounts) -> None:
    """Insert a row, or give the stored one with its id these counts."""
    values: dict[str, Any] = {"n_sentences": row.n_sentences, "counts": row.counts}
    statement = update(_COUNTS).where(_COUNTS.c.id == row.id).values(values)
    updated: CursorResult[tuple[()]] = session.connection().execute(statement)
    if updated.rowcount == 0:
        values |= {"id": row.id, "model": row.model, "hour": row.hour}
        session.execute(insert(_COUNTS).values(values))


def window_start(
    session: Session, model: str, *, n_sentences: int, since: datetime
) -> datetime | None:
    """Return the hour from which on a model has scored `n_sentences`, or its first hour after `since`.

    None if it has scored nothing since then.
    """
    query = (
        select(DriftCounts.hour, func.sum(DriftCounts.n_sentences))
        .where(DriftCounts.model == model, DriftCounts.hour >= since)
        .group_by(DriftCounts.hour)
        .order_by(DriftCounts.hour.desc())
    )
    start, n = None, 0
    for hour, n_of_hour in session.execute(query):
        start, n = hour, n + int(n_of_hour)
        if n >= n_sentences:
            break
    return start


def list_counts(session: Session, model: str, *, since: datetime) -> Sequence[dict[str, list[int]]]:
    """Return the histograms of a model from an hour on, in no particular order."""
    query = select(DriftCounts.counts)
    return session.scalars(query.where(DriftCounts.model == model, DriftCounts.hour >= since)).all()


def delete_counts(session: Session, *, before: datetime) -> int:
    """Delete the rows of earlier hours; return their number."""
    deleted: CursorResult[tuple[()]] = session.connection().execute(
        delete(_COUNTS).where(_COUNTS.c.hour < before)
    )
    return deleted.rowcount
