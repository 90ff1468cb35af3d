"""Column types that mean the same on SQLite, MySQL, MariaDB and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import DateTime, Dialect, LargeBinary, String, Text, TypeDecorator, Uuid
from sqlalchemy.dialects import mysql

_MYSQL = ("mysql", "mariadb")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC with microseconds; stored naive, so that no server converts it."""

    impl = DateTime().with_variant(mysql.DATETIME(fsp=6), *_MYSQL)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return `value` in UTC without its zone; raise ValueError if it has no zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a time zone; use datetime.now(UTC)")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the stored moment as an aware datetime in UTC."""
        return None if value is None else value.replace(tzinfo=UTC)


def row_id() -> Uuid[UUID]:
    """Return the type of ids: uuid on PostgreSQL, 32 hex characters elsewhere.

    A plain Uuid would become a uuid column on MariaDB, which MySQL cannot read.
    """
    return Uuid(native_uuid=False).with_variant(Uuid(), "postgresql")


def exact(length: int) -> String:
    """Return a string type compared byte by byte on every server: for addresses, hashes, keys and labels.

    Collations that ignore case treat é as equal to e, so two accounts would share an address. MariaDB's also
    treats all emoji as equal.
    """
    collated = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(collated, *_MYSQL)


def long_text() -> Text:
    """Return a type for texts of up to 16 MiB, compared as in `exact`; MySQL's plain TEXT ends at 64 KiB."""
    collated = mysql.MEDIUMTEXT(charset="utf8mb4", collation="utf8mb4_bin")
    return Text().with_variant(collated, *_MYSQL)


def long_binary() -> LargeBinary:
    """Return a column type for up to 16 MiB of bytes; MySQL's plain BLOB ends at 64 KiB."""
    return LargeBinary().with_variant(mysql.MEDIUMBLOB(), *_MYSQL)
