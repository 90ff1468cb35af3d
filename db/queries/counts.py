"""How many rows a statement changed."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult, Delete, Update
from sqlalchemy.orm import Session


def n_rows_of(session: Session, statement: Update | Delete) -> int:
    """Execute an UPDATE or DELETE and return how many rows its condition matched."""
    result = session.execute(statement, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount
