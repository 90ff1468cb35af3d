"""Archives for tests: of a database that has rows in every table, of an older schema, and hostile ones."""

import io
import tarfile
from datetime import UTC, datetime

from backports import zstd
from sqlalchemy import Column, MetaData, Table, inspect, select

from db import migrate, whole_database
from db.engines import open_unpooled_engine
from db.portable_rows import kinds, read_rows
from db.tables import Base
from db.tables.search import DERIVED
from service.domain.backups.archive_writer import ArchiveWriter
from service.domain.backups.contents import FORMAT, Header, key_check

OWN_EVENTS = {"backup.created", "backup.restored"}


def rows_by_table(url):
    """Return the rows of every table that backups hold, as Python values; without the events of backups."""
    with open_unpooled_engine(url).connect() as connection:
        return {
            name: sorted(_rows(connection, table), key=repr)
            for name, table in Base.metadata.tables.items()
            if name not in DERIVED
        }


def _rows(connection, table):
    rows = connection.execute(select(*table.columns)).mappings().all()
    return [tuple(row.items()) for row in rows if row.get("action") not in OWN_EVENTS]


def write_archive_of_older_schema(url, path):
    """Write what the version of the database's own revision would have written."""
    metadata = MetaData()
    with whole_database.snapshot(url) as connection, path.open("wb") as stream:
        columns = {
            name: {column["name"] for column in inspect(connection).get_columns(name)}
            for name in set(inspect(connection).get_table_names()) & Base.metadata.tables.keys()
        }
        tables = [
            Table(t.name, metadata, *(_copy(c) for c in t.columns if c.name in columns[t.name]))
            for t in Base.metadata.sorted_tables
            if t.name in columns
        ]
        header = header_of(tables, migrate.revision(connection))
        archive = ArchiveWriter(stream, header)
        for table in tables:
            archive.add_rows(table.name, read_rows(connection, table))
        archive.finish()


def _copy(column):
    return Column(column.name, column.type, primary_key=column.primary_key)


def header_of(tables, revision):
    created_at = datetime.now(UTC)
    return Header(
        format=FORMAT,
        product_version="0.9.0",
        revision=revision,
        created_at=created_at,
        key_check=key_check("k" * 32, created_at),
        tables={table.name: kinds(table) for table in tables},
    )


def members_of(path):
    """Return the members of an archive as pairs of tar header and bytes."""
    data = zstd.decompress(path.read_bytes())
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [(info, archive.extractfile(info).read()) for info in archive.getmembers()]


def write_members(path, members):
    """Write an archive by tarfile itself, which accepts anything."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    path.write_bytes(zstd.compress(written.getvalue()))
