"""Column types and table options of the migrations.

Released revisions use these functions, so do not change them: add a new one for a new need. Otherwise an old
revision would create another table than it did. The models use db/column_types.py.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

_MYSQL = ("mysql", "mariadb")


def table_options() -> dict[str, Any]:
    """Return engine, character set and collation of a new table on the connected server."""
    # Every table names its collation. Without one, mysql_charset takes the server's default for that
    # character set, which differs between servers. Each server has its own best collation.
    is_mariadb = getattr(op.get_bind().dialect, "is_mariadb", False)
    options = {
        "engine": "InnoDB",
        "charset": "utf8mb4",
        "collate": "utf8mb4_unicode_ci" if is_mariadb else "utf8mb4_0900_ai_ci",
    }
    return {f"{name}_{option}": v for name in _MYSQL for option, v in options.items()}


def row_id() -> TypeEngine[Any]:
    """Return the type of ids: uuid on PostgreSQL, 32 hex characters elsewhere."""
    return sa.Uuid(native_uuid=False).with_variant(sa.Uuid(), "postgresql")


def time() -> TypeEngine[Any]:
    """Return the type of times, in UTC, with microseconds."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *_MYSQL)


def exact(length: int) -> TypeEngine[Any]:
    """Return a string type compared byte by byte on every server."""
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, *_MYSQL)


def long_text() -> TypeEngine[Any]:
    """Return a type for texts of up to 16 MiB, compared byte by byte on every server."""
    binary = mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin")
    return sa.Text().with_variant(binary, *_MYSQL)


def long_binary() -> TypeEngine[Any]:
    """Return a type for up to 16 MiB of bytes."""
    return sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), *_MYSQL)
