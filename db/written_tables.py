"""Notes which tables a transaction writes, for whoever keeps results that depend on them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Table, UpdateBase, event

_KEY = "written_tables"


def watch(engine: Engine) -> None:
    """Note the table of each INSERT, UPDATE and DELETE of this engine's connections."""
    event.listen(engine, "before_execute", _note)


def taken(connection: Connection) -> frozenset[str]:
    """Return the names of the tables written since the last call, without what cascades delete."""
    return frozenset(connection.info.pop(_KEY, ()))


def _note(connection: Connection, statement: object, *_others: Any) -> None:  # noqa: ANN401 - SQLAlchemy's
    if isinstance(statement, UpdateBase) and isinstance(statement.table, Table):
        connection.info.setdefault(_KEY, set()).add(statement.table.name)
