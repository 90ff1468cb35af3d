"""Rename doubled CHECK names, and make MySQL 9.7 enforce the foreign key of scans.

Revisions 0001 to 0004 gave each CHECK its full name, and Alembic applied the naming convention again.
So the databases have ck_users_ck_users_role instead of the models' ck_users_role.

MySQL 9.7 checks a foreign key by the first index that begins with its columns, and skips rows in which a
further column of that index is NULL. MySQL sorts unique indexes before plain ones, whatever the order of
their creation, so the unique constraint of scans now ends with user_id instead of beginning with it. The
migration keeps rows without a parent: `python -m service db orphans` lists and removes them.

Rule about locks: MySQL, MariaDB and SQLite copy each of the five tables once and block writers meanwhile.
PostgreSQL renames without a copy, and builds one index. An interrupted revision can run again: it
changes only constraints that still have the old name.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from alembic import op
from sqlalchemy import inspect, text

from db.migrations.sqlite import rebuild

revision = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_VERDICTS = "'confirmed', 'rejected', 'relabelled', 'missed', 'withdrawn'"
_SPAN = "span_start >= 0 AND span_end > span_start"
_CHECKS = {
    "users": {"role": "role IN ('user', 'reviewer', 'admin')"},
    "scans": {"source": "source IN ('model', 'llm')", "n_findings": "n_findings >= 0"},
    "findings": {
        "n": "n >= 1",
        "score": "score >= 0 AND score <= 1",
        "span": _SPAN,
        "page": "page >= 1",
    },
    "feedback": {
        "n": "n >= 0",
        "span": _SPAN,
        "revision": "revision >= 1",
        "verdict": f"verdict IN ({_VERDICTS})",
    },
    "deployments": {
        "kind": "kind IN ('activate', 'rollback', 'shadow', 'shadow_off')",
        "n": "n >= 1",
        "share": "share >= 0 AND share <= 1",
    },
}
_Key = tuple[str, str]
_OWNER_FIRST: _Key = ("uq_scans_user_id_idempotency_key", "user_id, idempotency_key")
_OWNER_LAST: _Key = ("uq_scans_idempotency_key_user_id", "idempotency_key, user_id")
_ORPHANS = text(
    "SELECT COUNT(*) FROM scans WHERE NOT EXISTS (SELECT 1 FROM users WHERE users.id = scans.user_id)"
)
_log = logging.getLogger("db.migrations")


def upgrade() -> None:
    """Rename the CHECKs; put the owner last in the unique constraint of scans; report orphans."""
    for table, checks in _CHECKS.items():
        renamed = {f"ck_{table}_ck_{table}_{name}": f"ck_{table}_{name}" for name in checks}
        _change(table, renamed, _OWNER_FIRST, _OWNER_LAST)
    if n_orphans := op.get_bind().scalar(_ORPHANS):
        _log.warning(
            "scans whose account is gone: %d; `python -m service db orphans` lists such rows, "
            "and removes them with --remove",
            n_orphans,
        )


def downgrade() -> None:
    """Restore the doubled CHECK names and the old order of the unique constraint."""
    for table, checks in _CHECKS.items():
        renamed = {f"ck_{table}_{name}": f"ck_{table}_ck_{table}_{name}" for name in checks}
        _change(table, renamed, _OWNER_LAST, _OWNER_FIRST)


def _change(table: str, renamed: Mapping[str, str], old: _Key, new: _Key) -> None:
    bind = op.get_bind()
    inspector = inspect(bind)
    checks = {check["name"] for check in inspector.get_check_constraints(table)}
    remaining = {before: after for before, after in renamed.items() if before in checks}
    is_old = old[0] in {unique["name"] for unique in inspector.get_unique_constraints(table)}
    if not remaining and not is_old:
        return
    change = {"sqlite": _on_sqlite, "postgresql": _on_postgresql}.get(bind.dialect.name, _on_mysql)
    change(table, remaining, (old, new) if is_old else None)


def _on_sqlite(table: str, renamed: Mapping[str, str], keys: tuple[_Key, _Key] | None) -> None:
    changes = [
        (f"CONSTRAINT {before} ", f"CONSTRAINT {after} ") for before, after in renamed.items()
    ]
    if keys:
        old, new = (f"CONSTRAINT {name} UNIQUE ({columns})" for name, columns in keys)
        changes.append((old, new))
    rebuild(op.get_bind(), table, changes)


def _on_postgresql(table: str, renamed: Mapping[str, str], keys: tuple[_Key, _Key] | None) -> None:
    for before, after in renamed.items():
        op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {before} TO {after}")
    if keys:
        (old, _), (new, columns) = keys
        op.execute(
            f"ALTER TABLE {table} DROP CONSTRAINT {old}, ADD CONSTRAINT {new} UNIQUE ({columns})"
        )


def _on_mysql(table: str, renamed: Mapping[str, str], keys: tuple[_Key, _Key] | None) -> None:
    changes = []
    for before, after in renamed.items():
        name = after.removeprefix(f"ck_{table}_").removeprefix(f"ck_{table}_")
        changes += [f"DROP CONSTRAINT {before}"]
        changes += [f"ADD CONSTRAINT {after} CHECK ({_CHECKS[table][name]})"]
    if keys:
        (old, _), (new, columns) = keys
        changes += [f"DROP INDEX {old}", f"ADD CONSTRAINT {new} UNIQUE ({columns})"]
    # Otherwise MySQL refuses to copy a row without a parent.
    op.execute("SET SESSION foreign_key_checks = 0")
    try:
        op.execute(f"ALTER TABLE {table} {', '.join(changes)}")
    finally:
        op.execute("SET SESSION foreign_key_checks = 1")
