"""Texts of one piece in the rows of their documents, which saves an INSERT for each short document.

Earlier texts stay in `document_text`. A downgrade moves the short texts there.

Rule about locks: two columns without a default change the catalogue alone; SQLite copies `documents` when it
drops them. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import long_binary, long_text

revision = "0023"
down_revision: str | None = "0022"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Add the columns."""
    for column in (sa.Column("text", long_text()), sa.Column("blocks", long_binary())):
        if column.name not in _known():
            op.add_column("documents", column)


def downgrade() -> None:
    """Move the texts into `document_text`, and drop the columns."""
    if {"text", "blocks"} <= _known():
        op.execute(
            "INSERT INTO document_text (document_id, n, span_start, span_end, text, blocks) "
            "SELECT id, 1, 0, n_characters, text, blocks FROM documents WHERE text IS NOT NULL "
            "AND id NOT IN (SELECT document_id FROM document_text)"
        )
    for name in sorted({"text", "blocks"} & _known(), reverse=True):
        op.drop_column("documents", name)


def _known() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("documents")}
