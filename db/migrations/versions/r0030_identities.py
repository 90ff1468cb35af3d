"""Identities of a single sign-on provider.

A downgrade deletes them.

Rule about locks: the table is new. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, row_id, table_options, time

revision = "0030"
down_revision: str | None = "0029"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_TABLE = "identities"


def upgrade() -> None:
    """Create the table."""
    if sa.inspect(op.get_bind()).has_table(_TABLE):
        return
    op.create_table(
        _TABLE,
        sa.Column("id", row_id(), nullable=False),
        sa.Column("issuer", exact(255), nullable=False),
        sa.Column("subject", exact(255), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identities"),
        sa.UniqueConstraint("issuer", "subject", name="uq_identities_issuer_subject"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="fk_identities_user_id", ondelete="CASCADE"
        ),
        sa.Index("ix_identities_user_id", "user_id"),
        **table_options(),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table(_TABLE, if_exists=True)
