"""Teams, what is shared with them, and the roles team-reviewer and instructor.

A downgrade deletes the teams, and makes accounts with these roles ordinary ones.

Rule about locks: the tables are new. MySQL, MariaDB and SQLite copy `users`, which is small. An interrupted
revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.checks import change_check
from db.migrations.columns import exact, row_id, table_options, time

revision = "0027"
down_revision: str | None = "0026"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_BEFORE = "role IN ('user', 'reviewer', 'analyst', 'auditor', 'admin')"
_AFTER = (
    "role IN ('user', 'team-reviewer', 'reviewer', 'instructor', 'analyst', 'auditor', 'admin')"
)
_PAIRS = {
    "team_members": ("user_id", "users"),
    "document_shares": ("document_id", "documents"),
    "scan_shares": ("scan_id", "scans"),
    "work_session_shares": ("work_session_id", "work_sessions"),
}
"""Tables of pairs with a team, by name: the other column, and the table to which it refers."""


def upgrade() -> None:
    """Create the tables and allow the roles."""
    tables = sa.inspect(op.get_bind()).get_table_names()
    if "teams" not in tables:
        _create_teams()
    for name, (column, owner) in _PAIRS.items():
        if name not in tables:
            _create_pairs(name, column, owner)
    if not _are_allowed():
        change_check("users", "ck_users_role", _BEFORE, _AFTER)


def downgrade() -> None:
    """Change the accounts' roles, then forbid them; drop the tables."""
    op.execute("UPDATE users SET role = 'user' WHERE role IN ('team-reviewer', 'instructor')")
    if _are_allowed():
        change_check("users", "ck_users_role", _AFTER, _BEFORE)
    for name in (*_PAIRS, "teams"):
        op.drop_table(name, if_exists=True)


def _create_teams() -> None:
    op.create_table(
        "teams",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("name", exact(100), nullable=False),
        sa.Column("name_key", exact(300), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_teams"),
        sa.UniqueConstraint("name_key", name="uq_teams_name_key"),
        sa.Index("ix_teams_created_at_id", "created_at", "id"),
        **table_options(),
    )


def _create_pairs(name: str, column: str, owner: str) -> None:
    op.create_table(
        name,
        sa.Column(column, row_id(), nullable=False),
        sa.Column("team_id", row_id(), nullable=False),
        sa.ForeignKeyConstraint(
            [column], [f"{owner}.id"], name=f"fk_{name}_{column}", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.id"], name=f"fk_{name}_team_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(column, "team_id", name=f"pk_{name}"),
        sa.Index(f"ix_{name}_team_id", "team_id"),
        **table_options(),
    )


def _are_allowed() -> bool:
    checks = sa.inspect(op.get_bind()).get_check_constraints("users")
    return any("team-reviewer" in check["sqltext"] for check in checks)
