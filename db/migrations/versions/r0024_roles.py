"""The roles analyst and auditor.

A downgrade makes accounts with these roles ordinary ones.

Rule about locks: MySQL, MariaDB and SQLite copy `users`, which is small. An interrupted revision can run
again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.checks import change_check

revision = "0024"
down_revision: str | None = "0023"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_BEFORE = "role IN ('user', 'reviewer', 'admin')"
_AFTER = "role IN ('user', 'reviewer', 'analyst', 'auditor', 'admin')"


def upgrade() -> None:
    """Allow the roles."""
    if not _are_allowed():
        change_check("users", "ck_users_role", _BEFORE, _AFTER)


def downgrade() -> None:
    """Change the accounts' roles, then forbid them."""
    op.execute("UPDATE users SET role = 'user' WHERE role IN ('analyst', 'auditor')")
    if _are_allowed():
        change_check("users", "ck_users_role", _AFTER, _BEFORE)


def _are_allowed() -> bool:
    checks = sa.inspect(op.get_bind()).get_check_constraints("users")
    return any("auditor" in check["sqltext"] for check in checks)
