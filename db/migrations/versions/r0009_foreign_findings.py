"""Findings of another service: titles outside the taxonomy, and contexts without a span.

The span of a verdict is never NULL: MySQL 9.7 does not enforce a foreign key whose index has a NULL.

Rule about locks: PostgreSQL changes its catalogue and reads `feedback` once. MySQL and MariaDB rebuild
`findings` without blocking, and copy `feedback`. SQLite copies both. A copy blocks writers. An interrupted
revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

from alembic import op
from sqlalchemy import inspect
from sqlalchemy.types import TypeEngine

from db.migrations.columns import exact
from db.migrations.sqlite import rebuild

revision = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_OPTIONAL = {"risk_type": 64, "category": 64, "span_start": None, "span_end": None}
"""Columns of findings that become nullable, with their length; None for an integer."""
_TITLES = ("foreign_risk", "foreign_category")
_NOT_EMPTY = "span_end > span_start"
_OR_NO_SPAN = "(span_end > span_start OR (n > 0 AND span_start = 0 AND span_end = 0))"


def upgrade() -> None:
    """Make types and spans of findings nullable, add the titles, and allow verdicts without a span."""
    _make_optional(optional=True)
    known = {column["name"] for column in inspect(op.get_bind()).get_columns("findings")}
    if missing := [title for title in _TITLES if title not in known]:
        _alter("findings", [f"ADD COLUMN {title} {_sql(exact(255))}" for title in missing])
    _check_spans(_NOT_EMPTY, _OR_NO_SPAN)


def downgrade() -> None:
    """Drop the titles, and the findings and verdicts that an older version cannot store."""
    op.execute("DELETE FROM feedback WHERE span_start = span_end")
    op.execute(
        "DELETE FROM findings WHERE risk_type IS NULL OR category IS NULL OR span_start IS NULL"
    )
    _check_spans(_OR_NO_SPAN, _NOT_EMPTY)
    _alter("findings", [f"DROP COLUMN {title}" for title in _TITLES])
    _make_optional(optional=False)


def _make_optional(*, optional: bool) -> None:
    bind = op.get_bind()
    types = {
        name: _sql(exact(length)) if length else "INTEGER" for name, length in _OPTIONAL.items()
    }
    if bind.dialect.name == "sqlite":
        before, after = (" NOT NULL", "") if optional else ("", " NOT NULL")
        changes = [(f"{n} {t}{before}, ", f"{n} {t}{after}, ") for n, t in types.items()]
        rebuild(bind, "findings", changes)
    elif bind.dialect.name == "postgresql":
        verb = "DROP" if optional else "SET"
        _alter("findings", [f"ALTER COLUMN {name} {verb} NOT NULL" for name in types])
    else:
        end = "NULL" if optional else "NOT NULL"
        _alter("findings", [f"MODIFY COLUMN {name} {t} {end}" for name, t in types.items()])


def _check_spans(before: str, after: str) -> None:
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        rebuild(bind, "feedback", [(before, after)])
        return
    check = f"CHECK (span_start >= 0 AND {after})"
    name = "ck_feedback_span"
    _alter("feedback", [f"DROP CONSTRAINT {name}", f"ADD CONSTRAINT {name} {check}"])


def _alter(table: str, changes: Sequence[str]) -> None:
    """Make all changes in one statement if the database supports that."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in changes if is_sqlite else [", ".join(changes)]:
        op.execute(f"ALTER TABLE {table} {statement}")


def _sql(kind: TypeEngine[str]) -> str:
    return kind.compile(op.get_bind().dialect)
