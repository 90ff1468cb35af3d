"""Rows without their owner are found and removed, with the rows that they own, and no others."""

import uuid

import pytest
from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table, create_engine
from sqlalchemy.orm import Session

from db.database import Database
from db.queries import orphans
from tests.db.old_rows import ROWS, add_orphan, add_rows, all_rows


@pytest.fixture
def damaged(own_database_url):
    """A database with rows of every table, a scan of no user with a finding, and a finding of no scan."""
    database = Database.connect(own_database_url, pool_size=1)
    with database.engine.begin() as connection:
        add_rows(connection, ROWS)
    lost = add_orphan(own_database_url)
    add_orphan(own_database_url, "findings", scan_id=lost["id"])
    add_orphan(own_database_url, "findings")
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


TEAMS = MetaData()
Table("users", TEAMS, Column("id", Integer, primary_key=True))
Table("teams", TEAMS, Column("id", Integer, primary_key=True))
MEMBERS = Table(
    "members",
    TEAMS,
    Column("id", Integer, primary_key=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("team_id", ForeignKey("teams.id")),
)


@pytest.fixture
def members():
    """A session with four members: sound, without a team, of a lost team, of a lost team and user."""
    engine = create_engine("sqlite://")  # does not enforce foreign keys
    TEAMS.create_all(engine)
    with Session(engine) as session:
        for table in ("users", "teams"):
            session.execute(TEAMS.tables[table].insert(), [{"id": 1}])
        pairs = [(1, 1), (1, None), (1, 8), (9, 8)]
        values = [{"user_id": user, "team_id": team} for user, team in pairs]
        session.execute(MEMBERS.insert(), values)
        yield session
    engine.dispose()


def test_find_orphans_reports_each_foreign_key_of_a_table(members):
    orphans_by_key = orphans.find_orphans(members, tables=TEAMS.sorted_tables)
    assert [(o.column, o.owner, o.n, o.owner_ids) for o in orphans_by_key] == [
        ("team_id", "teams", 2, [8]),
        ("user_id", "users", 1, [9]),
    ]


def test_remove_orphans_leaves_rows_with_every_owner_and_rows_that_need_none(members):
    assert orphans.remove_orphans(members, tables=TEAMS.sorted_tables) == {"members": 2}
    rows = members.execute(MEMBERS.select()).all()
    assert [(row.user_id, row.team_id) for row in rows] == [(1, 1), (1, None)]
