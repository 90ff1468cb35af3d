"""Changes to CHECK constraints, such as a new value of a vocabulary.

Released revisions use these functions: do not change them, add new ones.
"""

from __future__ import annotations

from alembic import op

from db.migrations.sqlite import rebuild


def change_check(table: str, name: str, before: str, after: str) -> None:
    """Replace the condition `before` of CHECK `name` by `after`; every row must satisfy `after` already.

    SQLite, MySQL and MariaDB copy the table and block writers meanwhile.

    Raises:
        ValueError: the SQLite table does not contain `before` exactly once.
    """
    bind = op.get_bind()
    if bind.dialect.name == "sqlite":
        rebuild(bind, table, [(f"CHECK ({before})", f"CHECK ({after})")])
        return
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} CHECK ({after})")
