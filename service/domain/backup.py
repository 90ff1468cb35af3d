"""Writes a backup: one snapshot of the database, and the bytes that its rows need, while others write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO
from uuid import UUID

from sqlalchemy import Connection, Row
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db import migrate, whole_database
from db.portable_rows import kinds, read_rows
from db.queries import batches, files, originals
from db.tables import BatchItem, Document, File
from service import __version__
from service.config.settings import Config
from service.domain.audit import Action, Actor, event, record
from service.domain.backups.archive_writer import ArchiveWriter
from service.domain.backups.contents import FORMAT, Header, Kind, Manifest, key_check
from service.domain.files.user_stores import UserStores
from service.domain.transactions import Transactions
from service.errors import ConfigError, DatabaseUnavailable, StorageUnavailable

KINDS: Mapping[Kind, str] = {"f": "files", "o": "originals", "b": "batches"}
_HAS_BYTES = {"f": files.has_bytes, "o": originals.has_bytes, "b": batches.has_bytes}
_COLUMNS = {
    "f": (File.user_id, File.sha256),
    "o": (Document.user_id, Document.original_sha256),
    "b": (BatchItem.user_id, BatchItem.sha256),
}
NAMED = 20
"""Missing or changed files that a report names; it counts all of them."""


@dataclass(slots=True)
class BackupReport:
    """What an archive contains, and which bytes it lacks.

    `n_deleted` counts bytes whose rows were deleted after the snapshot, `n_lost` those that rows still need.
    """

    manifest: Manifest | None = None
    n_deleted: int = 0
    n_lost: int = 0
    lost: list[str] = field(default_factory=list)

    def add_lost(self, name: str) -> None:
        """Count bytes that are missing or damaged, and name the first ones."""
        self.n_lost += 1
        if len(self.lost) < NAMED:
            self.lost.append(name)


class Backup:
    """Backs up one database, and the stores of files, originals and documents of batches."""

    def __init__(
        self, config: Config, transactions: Transactions, stores: Mapping[Kind, UserStores]
    ) -> None:
        """`config` has the signing keys."""
        self._config = config
        self._transactions = transactions
        self._stores = stores

    def write(self, stream: BinaryIO, *, actor: Actor) -> BackupReport:
        """Write the archive to `stream`, which may be a pipe.

        Raises:
            ConfigError: the schema is not current.
            DatabaseUnavailable: the database does not answer.
            StorageUnavailable: the files cannot be read.
            OSError: the stream cannot be written.
        """
        report = BackupReport()
        try:
            with whole_database.snapshot(self._config.database_url) as connection:
                archive = ArchiveWriter(stream, self._header(connection))
                for kind in KINDS:
                    rows = whole_database.stored_bytes(connection, *_COLUMNS[kind])
                    self._add_files(archive, kind, rows, report)
                for table in whole_database.archived_tables():
                    archive.add_rows(table.name, read_rows(connection, table))
                report.manifest = archive.finish()
        except SQLAlchemyError as error:
            raise DatabaseUnavailable(
                f"The database does not answer ({type(error).__name__}). Check DATABASE_URL and that the "
                "server runs, then run the backup again."
            ) from error
        self._transactions.run(_record, report.manifest, actor)
        return report

    def _header(self, connection: Connection) -> Header:
        revision, created_at = migrate.revision(connection), datetime.now(UTC)
        if revision != migrate.head():
            raise ConfigError(
                f"The schema is at revision {revision}, and this version backs up {migrate.head()}. Back up "
                "with the version that the database belongs to, or run `python -m service db upgrade`."
            )
        return Header(
            format=FORMAT,
            product_version=__version__,
            revision=revision,
            created_at=created_at,
            key_check=key_check(self._config.secret_key, created_at),
            tables={table.name: kinds(table) for table in whole_database.archived_tables()},
        )

    def _add_files(
        self,
        archive: ArchiveWriter,
        kind: Kind,
        rows: Iterable[Row[UUID, str]],
        report: BackupReport,
    ) -> None:
        for user_id, sha256 in rows:
            store = self._stores[kind].store(user_id)
            name = f"{KINDS[kind]}/{user_id.hex}/{sha256}"
            try:
                file = store.open(sha256)
            except StorageUnavailable:
                if store.has(sha256):
                    raise
                archive.note_missing(kind)
                if self._transactions.read(_HAS_BYTES[kind], user_id, sha256):
                    report.add_lost(f"missing: {name}")
                else:
                    report.n_deleted += 1
                continue
            with file:
                if not archive.add_file(kind, user_id, sha256, file, len(file)):
                    report.add_lost(f"changed: {name}")


def _record(session: Session, manifest: Manifest, actor: Actor) -> None:
    detail = {
        "n_rows": sum(table.rows for table in manifest.tables.values()),
        "n_files": sum(kind.n for kind in manifest.files.values()),
    }
    record(
        session, event(Action.BACKUP_CREATED, actor=actor, object_type="database", detail=detail)
    )
