"""Findings say in which part of a document they are, under which heading, and whether OCR read them.

Earlier findings have no part and no heading, and none was read by OCR. A downgrade drops the columns.

Rule about locks: PostgreSQL, MariaDB and MySQL 8.0.12 or newer change their catalogue alone. SQLite adds
columns without a copy, and copies `findings` when it drops them. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact

revision = "0013"
down_revision: str | None = "0012"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_COLUMNS = ("part", "heading", "ocr")


def upgrade() -> None:
    """Add the columns."""
    known = _known()
    columns: tuple[sa.Column[Any], ...] = (
        sa.Column("part", exact(640)),
        sa.Column("heading", exact(255)),
        sa.Column("ocr", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    for column in columns:
        if column.name not in known:
            op.add_column("findings", column)


def downgrade() -> None:
    """Drop the columns."""
    known = _known()
    for name in _COLUMNS:
        if name in known:
            op.drop_column("findings", name)


def _known() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("findings")}
