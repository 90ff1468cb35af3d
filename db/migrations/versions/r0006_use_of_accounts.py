"""When an account was last changed; when and from where a log-in was used.

Rule about locks: nullable columns are added without rewriting a table. Only users, a short table, is filled.
Rows that an older version of the service inserts meanwhile keep null. An interrupted revision can run again:
it adds only the missing columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, time

revision = "0006"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_NEW = (
    ("users", "updated_at", time()),
    ("logins", "last_used_at", time()),
    ("logins", "client_address", exact(64)),
)


def upgrade() -> None:
    """Add users.updated_at, logins.last_used_at and logins.client_address."""
    inspector = sa.inspect(op.get_bind())
    for table, name, kind in _NEW:
        if name not in {column["name"] for column in inspector.get_columns(table)}:
            op.add_column(table, sa.Column(name, kind))
    op.execute("UPDATE users SET updated_at = created_at WHERE updated_at IS NULL")


def downgrade() -> None:
    """Drop the columns."""
    for table, name, _ in reversed(_NEW):
        op.drop_column(table, name)
