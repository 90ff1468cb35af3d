"""Changes to SQLite tables that ALTER TABLE does not support.

Released revisions use these functions: do not change them, add new ones.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, text


def rebuild(connection: Connection, table: str, changes: Iterable[tuple[str, str]]) -> None:
    """Rebuild `table` with each `old` part of its CREATE TABLE replaced by `new`; keep rows and indexes.

    Foreign keys must be off, as they are in a migration. Otherwise dropping the old table would delete the
    rows that refer to it. Source: sqlite.org/lang_altertable.html, "Making Other Kinds Of Table Schema
    Changes".

    Raises:
        ValueError: an old part does not occur exactly once; the table is unchanged.
    """
    schema = text(
        "SELECT sql FROM sqlite_schema WHERE tbl_name = :table AND type = :kind AND sql <> ''"
    )
    create = connection.scalar(schema, {"table": table, "kind": "table"}) or ""
    indexes = connection.scalars(schema, {"table": table, "kind": "index"}).all()
    for old, new in changes:
        if create.count(old) != 1:
            raise ValueError(
                f"the schema of {table} holds {old!r} {create.count(old)} times, not once"
            )
        create = create.replace(old, new)
    columns = create[create.index("(") :]
    connection.exec_driver_sql(f"CREATE TABLE new_{table} {columns}")
    connection.exec_driver_sql(f"INSERT INTO new_{table} SELECT * FROM {table}")  # noqa: S608 - a migration's own name
    connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql(f"ALTER TABLE new_{table} RENAME TO {table}")
    for index in indexes:
        connection.exec_driver_sql(index)
