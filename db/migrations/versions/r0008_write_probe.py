"""A table of one row; the readiness check writes it to test whether the database accepts writes.

Rule about locks: the table is new, so nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from db.migrations.columns import table_options, time

revision = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create the table with its row."""
    op.create_table(
        "write_probe",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("written_at", time()),
        sa.Column("payload", sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb")),
        sa.PrimaryKeyConstraint("id", name="pk_write_probe"),
        **table_options(),
    )
    op.execute("INSERT INTO write_probe (id) VALUES (1)")


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("write_probe")
