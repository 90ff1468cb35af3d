"""Seals of the audit trail: a number and a digest for each event, and a table of seals.

The service seals earlier events within minutes. A downgrade drops numbers, digests and seals.

Rule about locks: columns are added in the catalogue alone; SQLite copies `audit_events` when it drops them.
Building an index reads the whole table, and blocks writers on SQLite and PostgreSQL. An interrupted revision
can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, table_options, time

revision = "0025"
down_revision: str | None = "0024"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_EVENTS, _SEALS = "audit_events", "audit_seals"
_INDEXES = {
    "ix_audit_events_n": ["n"],
    "ix_audit_events_user_id_created_at_id": ["user_id", "created_at", "id"],
}


def upgrade() -> None:
    """Add the columns, their indexes and the table."""
    inspector = sa.inspect(op.get_bind())
    columns = {column["name"] for column in inspector.get_columns(_EVENTS)}
    for column in (sa.Column("n", sa.BigInteger()), sa.Column("digest", exact(64))):
        if column.name not in columns:
            op.add_column(_EVENTS, column)
    indexes = {index["name"] for index in inspector.get_indexes(_EVENTS)}
    for name, columns_of_index in _INDEXES.items():
        if name not in indexes:
            op.create_index(name, _EVENTS, columns_of_index)
    if not inspector.has_table(_SEALS):
        op.create_table(
            _SEALS,
            sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
            sa.Column("last_n", sa.BigInteger(), nullable=False),
            sa.Column("digest", exact(64), nullable=False),
            sa.Column("sealed_at", time(), nullable=False),
            sa.PrimaryKeyConstraint("number", name="pk_audit_seals"),
            sa.Index("ix_audit_seals_last_n", "last_n"),
            **table_options(),
        )


def downgrade() -> None:
    """Drop the table, the indexes and the columns."""
    inspector = sa.inspect(op.get_bind())
    if inspector.has_table(_SEALS):
        op.drop_table(_SEALS)
    indexes = {index["name"] for index in inspector.get_indexes(_EVENTS)}
    for name in _INDEXES:
        if name in indexes:
            op.drop_index(name, _EVENTS)
    columns = {column["name"] for column in inspector.get_columns(_EVENTS)}
    for name in ("n", "digest"):
        if name in columns:
            op.drop_column(_EVENTS, name)
