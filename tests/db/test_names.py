"""Constraints have the models' names in each database; MySQL 9.7 can enforce keys with every index."""

import pytest
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint, inspect

from db.tables import Base

TABLES = sorted(Base.metadata.tables)


def names(table, kind):
    return {c.name for c in Base.metadata.tables[table].constraints if isinstance(c, kind)}


@pytest.fixture
def catalogue(database):
    """An inspector of the migrated database."""
    with database.engine.connect() as connection:
        yield inspect(connection)


def test_checks_have_the_models_names(catalogue):
    for table in TABLES:
        stored = {check["name"] for check in catalogue.get_check_constraints(table)}
        # MariaDB adds a CHECK of its own to each JSON column, named like the column.
        stored -= {column["name"] for column in catalogue.get_columns(table)}
        assert stored == names(table, CheckConstraint), table


def test_keys_have_the_models_names(catalogue):
    for table in TABLES:
        unique = {key["name"] for key in catalogue.get_unique_constraints(table)}
        foreign = {key["name"] for key in catalogue.get_foreign_keys(table)}
        assert unique == names(table, UniqueConstraint), table
        assert foreign == names(table, ForeignKeyConstraint), table


def test_indexes_that_begin_with_a_foreign_key_have_no_nullable_column(catalogue):
    broken = [name for table in TABLES for name in _broken_indexes(catalogue, table)]
    assert not broken


def _broken_indexes(catalogue, table):
    nullable = {c["name"] for c in catalogue.get_columns(table) if c["nullable"]}
    indexes = [*catalogue.get_indexes(table), *catalogue.get_unique_constraints(table)]
    for key in catalogue.get_foreign_keys(table):
        n, owner = len(key["constrained_columns"]), key["constrained_columns"]
        for index in indexes:
            columns = index["column_names"]
            if columns[:n] == owner and nullable & set(columns[n:]):
                yield index["name"]
