"""Restores a backup into an empty database of any kind, and its files into DATA_DIR."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db import migrate, whole_database
from db.database import is_unavailable
from db.portable_rows import insert_rows
from service.config.database_address import redact
from service.config.settings import Config
from service.domain.audit import Action, Actor, event, record
from service.domain.backups.archive_reader import Archive, ArchivedFile, ArchivedRows, Sums
from service.domain.backups.contents import Header, Kind, Manifest, key_check
from service.domain.backups.tar_members import damaged
from service.domain.database_upgrade import upgrade_database
from service.domain.files.user_stores import UserStores
from service.errors import ConfigError, Conflict, DatabaseUnavailable, StorageUnavailable

_Parts = Iterator[ArchivedFile | ArchivedRows]
_ALEMBIC = "alembic_version"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored, and the schema's revision afterwards."""

    header: Header
    manifest: Manifest
    revision: str
    same_key: bool


class Restore:
    """Restores one archive."""

    def __init__(self, path: Path, config: Config, stores: Mapping[Kind, UserStores]) -> None:
        """`config` has the signing keys."""
        self._archive = Archive(path)
        self._config = config
        self._stores: Mapping[str, UserStores] = {str(kind): s for kind, s in stores.items()}

    def check(self) -> tuple[Header, Manifest]:
        """Verify the whole archive and return what it says about itself; changes nothing.

        Raises:
            InvalidRequest: the archive is damaged or cut off.
            ConfigError: a newer version of the product wrote it.
        """
        header = self._archive.header()
        if not migrate.is_known(header.revision):
            raise ConfigError(
                f"Version {header.product_version} wrote this backup, with schema {header.revision}; this "
                f"version knows {migrate.head()} at most. Restore it with that version or a newer one."
            )
        return header, self._archive.verify()

    def used_tables(self) -> list[str]:
        """Return the tables with rows that a restore would delete.

        Raises:
            Conflict: the database has tables of another program.
            DatabaseUnavailable: it does not answer.
        """
        with _database_errors(self._config):
            ours = {table.name for table in whole_database.all_tables()} | {_ALEMBIC}
            foreign = whole_database.table_names(self._config.database_url) - ours
            if foreign:
                raise Conflict(
                    f"{redact(self._config.database_url)} has tables that this version does not know, such "
                    f"as {min(foreign)}. Name an empty database in DATABASE_URL."
                )
            return whole_database.used_tables(self._config.database_url)

    def run(self, *, replace: bool) -> Restored:
        """Restore everything, upgrade the schema and return what was restored.

        Raises:
            Conflict: the database is not empty, and `replace` does not delete its rows.
            InvalidRequest, ConfigError: as in `check`, or the database refuses a row. After the check the old
                rows are deleted; a later failure leaves the database empty.
            StorageUnavailable: DATA_DIR has no room.
        """
        header, manifest = self.check()
        used = self.used_tables()
        if used and not replace:
            raise Conflict(
                f"{redact(self._config.database_url)} is not empty: {', '.join(used)}. Name an empty "
                "database in DATABASE_URL, or delete all of its rows with --replace."
            )
        self._require_room(manifest)
        with _database_errors(self._config):
            self._create_schema(header)
        parts = self._archive.parts()
        rows = self._restore_files(parts, manifest)
        with _database_errors(self._config):
            self._restore_rows(rows, header, manifest)
        revision = upgrade_database(self._config)
        same_key = key_check(self._config.secret_key, header.created_at) == header.key_check
        return Restored(header, manifest, revision, same_key)

    def _require_room(self, manifest: Manifest) -> None:
        needed = sum(kind.size_bytes for kind in manifest.files.values())
        folder = self._config.data_dir
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise StorageUnavailable(
                f"DATA_DIR {folder} cannot be written ({error.strerror}). Let this user write it."
            ) from error
        if needed > free:
            raise StorageUnavailable(
                f"The files of this backup have {needed:,} bytes, and {folder} has {free:,} free. Free "
                "some space, or set DATA_DIR."
            )

    def _create_schema(self, header: Header) -> None:
        url = self._config.database_url
        names = {table.name for table in whole_database.all_tables()} | {_ALEMBIC}
        whole_database.drop_tables(url, names)
        migrate.upgrade(url, header.revision)

    def _restore_files(self, parts: _Parts, manifest: Manifest) -> _Parts:
        """Store the files at the begin of `parts`; return the rows that follow."""
        for part in parts:
            if isinstance(part, ArchivedRows):
                return chain([part], parts)
            if part.member.name in manifest.damaged:
                continue
            store = self._stores[part.kind].store(part.user_id)
            with store.receive(part.member) as incoming:
                if incoming.stored.sha256 != part.sha256:
                    raise damaged("a file differs from its SHA-256")
                incoming.keep()
        return iter(())

    def _restore_rows(self, parts: _Parts, header: Header, manifest: Manifest) -> None:
        sums = Sums()
        with whole_database.unchecked(self._config.database_url) as connection:
            _require_columns(connection, header)
            for table in reversed(header.tables):
                whole_database.delete_rows(connection, table)
            for part in parts:
                if not isinstance(part, ArchivedRows) or part.table not in header.tables:
                    raise damaged("its members are not in order")
                sums.add(part)
                _insert(connection, part, header)
            sums.require(manifest)
            _require_counts(connection, manifest)


def _insert(connection: Connection, part: ArchivedRows, header: Header) -> None:
    try:
        insert_rows(connection, part.table, header.tables[part.table], part.rows())
    except (ValueError, TypeError) as error:
        raise damaged(f"rows of {part.table} cannot be read") from error
    except SQLAlchemyError as error:
        if is_unavailable(error):
            raise
        # The cause quotes the row.
        raise ConfigError(
            f"The database refuses a row of {part.table} ({type(error).__name__}), so no row was restored."
        ) from None


def _require_columns(connection: Connection, header: Header) -> None:
    for table, columns in header.tables.items():
        if whole_database.column_names(connection, table) != columns.keys():
            raise damaged(f"its columns of {table} are not those of schema {header.revision}")


def _require_counts(connection: Connection, manifest: Manifest) -> None:
    for table, expected in manifest.tables.items():
        n = whole_database.count_rows(connection, table)
        if n != expected.rows:
            raise ConfigError(
                f"{table} has {n:,} rows in place of {expected.rows:,}, so none was restored. Does "
                "another process use the database? Stop the service first."
            )


def record_restore(session: Session, restored: Restored, actor: Actor) -> None:
    """Leave an audit event that says which backup was restored."""
    detail = {
        "backup_at": restored.header.created_at.isoformat(),
        "version": restored.header.product_version,
        "schema": restored.header.revision,
        "n_rows": sum(table.rows for table in restored.manifest.tables.values()),
    }
    restored_event = event(
        Action.BACKUP_RESTORED, actor=actor, object_type="database", detail=detail
    )
    record(session, restored_event)


@contextlib.contextmanager
def _database_errors(config: Config) -> Iterator[None]:
    """Map the database's failures to our errors."""
    try:
        yield
    except (SQLAlchemyError, migrate.MigrationsBusy, OSError) as error:
        kind = type(error).__name__
        message = f"The database {redact(config.database_url)} could not be restored ({kind})."
        remedy = "Check DATABASE_URL, that the server runs, and that its user may create tables."
        raise DatabaseUnavailable(f"{message} {remedy}") from error
