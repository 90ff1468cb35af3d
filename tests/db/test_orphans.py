"""Rows without their owner are found and removed, with the rows that they own, and no others."""

import uuid

import pytest

from db import migrate
from db.database import Database
from db.queries import orphans
from tests.db.old_rows import ROWS, add_orphan, add_rows, all_rows


@pytest.fixture
def damaged(empty_database_url):
    """A database with rows of every table, a scan of no user with a finding, and a finding of no scan."""
    migrate.upgrade(empty_database_url)
    database = Database.connect(empty_database_url, pool_size=1)
    with database.engine.begin() as connection:
        add_rows(connection, ROWS)
    lost = add_orphan(empty_database_url)
    add_orphan(empty_database_url, "findings", scan_id=lost["id"])
    add_orphan(empty_database_url, "findings")
    yield database
    database.dispose()


def test_find_orphans_counts_rows_of_orphans_too(damaged):
    scans, findings = damaged.run(orphans.find_orphans)
    nobody = uuid.UUID("0190" + "0" * 28)
    assert (scans.table, scans.n, scans.owner, scans.column) == ("scans", 1, "users", "user_id")
    assert scans.owner_ids == findings.owner_ids == [nobody]
    assert (findings.table, findings.n, findings.owner) == ("findings", 2, "scans")


def test_remove_orphans_leaves_every_other_row(damaged):
    removed = damaged.run(orphans.remove_orphans)
    assert removed == {"scans": 1, "findings": 2}
    assert damaged.run(orphans.find_orphans) == []
    left = damaged.run(lambda s: all_rows(s.connection()))
    assert {name: len(rows) for name, rows in left.items()} == {n: len(r) for n, r in ROWS}
