"""The operating point at which a scan was decided.

Rule about locks: a column that may be null is added without rewriting the table.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact

revision = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Add scans.sensitivity: null for an LLM's scans and for those of earlier versions."""
    op.add_column("scans", sa.Column("sensitivity", exact(16)))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("scans", "sensitivity")
