"""The document of each scan; null for the scans that exist already.

Rule about locks: only SQLite copies rows, since the column is nullable. MySQL and MariaDB build the index and
add the foreign key without blocking writers, since every row has null. PostgreSQL blocks writers while it
builds the index, SQLite while it copies the table. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import row_id
from db.migrations.sqlite import rebuild

revision = "0016"
down_revision: str | None = "0015"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_KEY, _INDEX = "fk_scans_document_id", "ix_scans_document_id"
_FOREIGN_KEY = "FOREIGN KEY(document_id) REFERENCES documents (id) ON DELETE CASCADE"
_LAST_KEY = "FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE"
_BOTH_KEYS = f"{_LAST_KEY}, \n\tCONSTRAINT {_KEY} {_FOREIGN_KEY}"


def upgrade() -> None:
    """Add scans.document_id, its index and its foreign key, as far as they are missing."""
    inspector = sa.inspect(op.get_bind())
    if "document_id" not in {column["name"] for column in inspector.get_columns("scans")}:
        op.add_column("scans", sa.Column("document_id", row_id()))
    if _INDEX not in {index["name"] for index in inspector.get_indexes("scans")}:
        op.create_index(_INDEX, "scans", ["document_id"])
    if _KEY in {key["name"] for key in inspector.get_foreign_keys("scans")}:
        return
    if op.get_bind().dialect.name == "sqlite":
        rebuild(op.get_bind(), "scans", [(_LAST_KEY, _BOTH_KEYS)])
        return
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    # MySQL and MariaDB copy the table to check the rows; every row has null.
    if not is_postgresql:
        op.execute("SET SESSION foreign_key_checks = 0")
    op.execute(f"ALTER TABLE scans ADD CONSTRAINT {_KEY} {_FOREIGN_KEY}")
    if not is_postgresql:
        op.execute("SET SESSION foreign_key_checks = 1")


def downgrade() -> None:
    """Drop the column with its key and its index."""
    inspector = sa.inspect(op.get_bind())
    has_key = _KEY in {key["name"] for key in inspector.get_foreign_keys("scans")}
    if has_key and op.get_bind().dialect.name == "sqlite":
        rebuild(op.get_bind(), "scans", [(_BOTH_KEYS, _LAST_KEY)])
    elif has_key:
        op.drop_constraint(_KEY, "scans", type_="foreignkey")
    if _INDEX in {index["name"] for index in inspector.get_indexes("scans")}:
        op.drop_index(_INDEX, "scans")
    if "document_id" in {column["name"] for column in inspector.get_columns("scans")}:
        op.drop_column("scans", "document_id")
