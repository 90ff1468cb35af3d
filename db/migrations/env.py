"""Alembic's entry point: runs migrations over the connection that db.migrate opened and locked."""

from __future__ import annotations

from alembic import context

from db.tables import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    # SQLite alters a column by rebuilding its table; its DDL is transactional all the same.
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=connection.dialect.name in {"sqlite", "postgresql"},
)
with context.begin_transaction():
    context.run_migrations()
