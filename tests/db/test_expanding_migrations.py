"""Migrations only add, so that the code of the release before still runs on the new schema."""

import re

import pytest
from sqlalchemy import create_engine, inspect

from db import migrate
from db.engines import open_unpooled_engine
from db.tables import FULL_TEXT_TABLES
from tests.db.test_upgrade_with_rows import REVISIONS

LAST_EXEMPT = "0033"
"""Revisions up to this one were written before the rule; they were not upgraded under load."""
CONTRACTIONS = {}
"""By revision: why what it removes or restricts does not stop the code of the release before."""


def schema(url):
    """Return tables by name: columns, and what restricts the rows."""
    with open_unpooled_engine(url).connect() as connection:
        inspector = inspect(connection)
        return {
            table: {
                "columns": {
                    c["name"]: _column(c, connection.dialect) for c in inspector.get_columns(table)
                },
                "rules": _rules(inspector, table),
            }
            for table in set(inspector.get_table_names()) - FULL_TEXT_TABLES
        }


def contractions(before, after):
    """Return what stops code for `before` on the schema `after`: things removed or restricted."""
    found = [f"table {table} is gone" for table in before.keys() - after.keys()]
    for table in before.keys() & after.keys():
        old, new = before[table], after[table]
        gone = old["columns"].keys() - new["columns"].keys()
        found += [f"{table}.{name} is gone" for name in gone]
        for name, column in new["columns"].items():
            if fault := _fault(old["columns"].get(name), column):
                found.append(f"{table}.{name} {fault}")
        found += [f"{table} has the new rule {rule}" for rule in new["rules"] - old["rules"]]
    return found


def _fault(old, new):
    """Return why old code cannot write a column as before; None if it can."""
    kind, accepts_null, has_default = new
    if old is None:
        return None if accepts_null or has_default else "is new and needs a value"
    if old[0] != kind:
        return f"is {kind}"
    return "accepts no NULL" if old[1] and not accepts_null else None


def _column(column, dialect):
    has_default = column["default"] is not None or column.get("autoincrement") is True
    return column["type"].compile(dialect), column["nullable"], has_default


def _rules(inspector, table):
    unique = {
        ("unique", *index["column_names"])
        for index in inspector.get_indexes(table)
        if index["unique"]
    }
    unique |= {("unique", *u["column_names"]) for u in inspector.get_unique_constraints(table)}
    keys = {
        ("foreign key", *key["constrained_columns"]) for key in inspector.get_foreign_keys(table)
    }
    checks = {
        ("check", re.sub(r"[\s`'\"()]+", " ", check["sqltext"]))
        for check in inspector.get_check_constraints(table)
    }
    return unique | keys | checks


def test_each_new_migration_only_expands_the_schema(empty_database_url):
    first, *newer = [revision for revision in REVISIONS if revision >= LAST_EXEMPT]
    migrate.upgrade(empty_database_url, first)
    before = schema(empty_database_url)
    for revision in newer:
        migrate.upgrade(empty_database_url, revision)
        after = schema(empty_database_url)
        assert revision in CONTRACTIONS or contractions(before, after) == [], revision
        before = after


def test_no_revision_names_code_from_before_a_contraction():
    for script in migrate.revisions():
        _, _, oldest = script.partition(".from.")
        between = [r for r in CONTRACTIONS if oldest and oldest < r <= script[:4]]
        assert between == [], f"{script} names {oldest}, but later ones contract"


BASE = """
    CREATE TABLE owners (id INTEGER PRIMARY KEY);
    CREATE TABLE things (id INTEGER PRIMARY KEY, name VARCHAR(20), owner_id INTEGER, kind VARCHAR(9),
        CONSTRAINT kinds CHECK (kind IN ('a', 'b')));
"""


def changed(tmp_path, statements):
    """Return the contractions of a script that changes a small schema."""
    url = f"sqlite:///{tmp_path / 'small.db'}"
    schemas = []
    for script in (BASE, statements):
        with create_engine(url).begin() as connection:
            connection.connection.executescript(script)
        schemas.append(schema(url))
    return contractions(*schemas)


@pytest.mark.parametrize(
    "statements",
    [
        "CREATE TABLE more (id INTEGER PRIMARY KEY, name VARCHAR(9) NOT NULL UNIQUE)",
        "ALTER TABLE things ADD COLUMN note VARCHAR(9)",
        "ALTER TABLE things ADD COLUMN n INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX ix_things_name ON things (name)",
    ],
)
def test_addition_is_no_contraction(tmp_path, statements):
    assert changed(tmp_path, statements) == []


def rebuilt(columns):
    return f"DROP TABLE things; CREATE TABLE things ({columns})"


OLD = "id INTEGER PRIMARY KEY, name VARCHAR(20), owner_id INTEGER, kind VARCHAR(9)"
KINDS = "CONSTRAINT kinds CHECK (kind IN ('a', 'b'))"


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        ("DROP TABLE owners", "table owners is gone"),
        ("ALTER TABLE things DROP COLUMN name", "things.name is gone"),
        ("ALTER TABLE things RENAME COLUMN name TO title", "things.name is gone"),
        ("ALTER TABLE owners RENAME TO people", "table owners is gone"),
        ("CREATE UNIQUE INDEX u ON things (name)", "new rule ('unique', 'name')"),
        (rebuilt(f"{OLD.replace('20', '10')}, {KINDS}"), "things.name is VARCHAR(10)"),
        (rebuilt(f"{OLD}, n INTEGER NOT NULL, {KINDS}"), "things.n is new and needs a value"),
        (rebuilt(f"{OLD.replace('(20)', '(20) NOT NULL')}, {KINDS}"), "name accepts no NULL"),
        (rebuilt(f"{OLD}, CHECK (kind IN ('a'))"), "new rule ('check'"),
        (
            rebuilt(f"{OLD}, {KINDS}, FOREIGN KEY (owner_id) REFERENCES owners (id)"),
            "new rule ('foreign key', 'owner_id')",
        ),
    ],
)
def test_removal_or_restriction_is_a_contraction(tmp_path, statements, named):
    [found] = changed(tmp_path, statements)
    assert named in found
