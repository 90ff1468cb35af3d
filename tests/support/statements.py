"""The statements that a test sends to a database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event


@contextmanager
def recorded_statements(engine: Engine | type[Engine] = Engine) -> Iterator[list[tuple[str, Any]]]:
    """Record each statement with its parameters, by default those of all engines of this process."""
    sent: list[tuple[str, Any]] = []

    def record(_connection, _cursor, statement, parameters, *_):
        sent.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", record)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", record)
