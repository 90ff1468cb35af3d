"""Versions of documents, and the original bytes of uploads.

Each stored document becomes the first version of a series of its own. `user_settings.store_original` is false
for every user. The hashes of requests are deleted, since they were not signed: from the hash of a short text
one finds the text. A repeated request with the key of such a scan returns the scan.

Rule about locks: PostgreSQL, MariaDB and MySQL add the columns in their catalogue alone, and then write one
value into each document and each scan with a key, which blocks writers of these rows. SQLite copies
`documents`. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, row_id
from db.migrations.sqlite import rebuild

revision = "0021"
down_revision: str | None = "0020"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_INDEXES = {
    "ix_documents_series_id_version": ["series_id", "version"],
    "ix_documents_original_sha256_user_id": ["original_sha256", "user_id"],
}
_COLUMNS = ("series_id", "version", "original_sha256")


def upgrade() -> None:
    """Add the columns and indexes, and give each document its series."""
    _add(
        "documents",
        sa.Column("series_id", row_id()),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("original_sha256", exact(64)),
    )
    _add(
        "user_settings",
        sa.Column("store_original", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.execute("UPDATE documents SET series_id = id WHERE series_id IS NULL")
    op.execute("UPDATE scans SET request_sha256 = NULL WHERE request_sha256 IS NOT NULL")
    _require_series()
    for name, columns in _INDEXES.items():
        if name not in _indexes():
            op.create_index(name, "documents", columns)


def downgrade() -> None:
    """Drop the columns; versions become documents of their own, and bytes stay in DATA_DIR/originals."""
    for name in _INDEXES:
        if name in _indexes():
            op.drop_index(name, "documents")
    for name in _COLUMNS:
        if name in _known("documents"):
            op.drop_column("documents", name)
    if "store_original" in _known("user_settings"):
        op.drop_column("user_settings", "store_original")


def _add(table: str, *columns: sa.Column[Any]) -> None:
    known = _known(table)
    for column in columns:
        if column.name not in known:
            op.add_column(table, column)


def _require_series() -> None:
    bind = op.get_bind()
    columns = sa.inspect(bind).get_columns("documents")
    if not next(column["nullable"] for column in columns if column["name"] == "series_id"):
        return
    if bind.dialect.name == "sqlite":
        rebuild(bind, "documents", [("series_id CHAR(32)", "series_id CHAR(32) NOT NULL")])
    else:
        op.alter_column("documents", "series_id", existing_type=row_id(), nullable=False)


def _known(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _indexes() -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes("documents")}
