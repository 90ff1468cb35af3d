"""Commit markers: a row shows whether its transaction was committed, if COMMIT got no answer.

Every writing transaction has one: its newest audit event, or a row of `transaction_markers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import uuid_utils.compat
from sqlalchemy import URL, Table, delete, insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.engines import BEGIN_IMMEDIATE, open_unpooled_engine
from db.error_codes import is_duplicate
from db.tables import Base, TransactionMarker

LIFE = timedelta(hours=1)
"""Age at which a marker is deleted. A lookup takes place within a minute, if at all."""
LOOKUP_TIMEOUT_S = 3.0
_KEY = "commit_marker"
_MARKERS = Base.metadata.tables[TransactionMarker.__tablename__]


@dataclass(frozen=True, slots=True)
class CommitMarker:
    """A row that the transaction inserted, with a primary key that no other transaction uses."""

    table: Table
    row: Mapping[str, Any]


def set_marker(session: Session, table: Table, row: Mapping[str, Any]) -> None:
    """Use a row that `session` has just inserted as its marker.

    A savepoint may be rolled back without its transaction, so a row inserted within one is not used.
    """
    if not session.in_nested_transaction():
        session.info[_KEY] = CommitMarker(table, row)


def ensure_marker(session: Session) -> CommitMarker:
    """Return the marker of the session's transaction; insert one if it has none."""
    if _KEY not in session.info:
        row = {"id": uuid_utils.compat.uuid7(), "created_at": datetime.now(UTC)}
        session.execute(insert(_MARKERS), [row])
        set_marker(session, _MARKERS, row)
    marker: CommitMarker = session.info[_KEY]
    return marker


def delete_old(session: Session) -> None:
    """Delete the rows of `transaction_markers` that are older than LIFE."""
    too_old = TransactionMarker.created_at < datetime.now(UTC) - LIFE
    session.execute(delete(_MARKERS).where(too_old))


def is_committed(url: URL, marker: CommitMarker) -> bool:
    """Return whether the transaction of `marker` was committed, over a new connection.

    Inserts the row again and rolls back: a duplicate key means that the row is stored. The insert waits for
    a transaction that the server still holds open; a SELECT would not see it.

    Raises:
        SQLAlchemyError: the lookup failed; each wait lasts LOOKUP_TIMEOUT_S at most.
    """
    engine = open_unpooled_engine(url, timeout_s=LOOKUP_TIMEOUT_S)
    with engine.connect() as connection:
        connection.execution_options(**{BEGIN_IMMEDIATE: True})
        try:
            connection.execute(insert(marker.table), [dict(marker.row)])
        except IntegrityError as error:
            if is_duplicate(error):
                return True
            raise
        connection.rollback()
        return False
