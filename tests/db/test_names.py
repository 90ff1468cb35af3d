"""The catalogue of each database carries the models' names, and indexes that MySQL 9.7 enforces keys by."""

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


def test_checks_carry_the_models_names(catalogue):
    for table in TABLES:
        stored = {check["name"] for check in catalogue.get_check_constraints(table)}
        # MariaDB adds a CHECK of its own to each JSON column, named as the column.
        stored -= {column["name"] for column in catalogue.get_columns(table)}
        assert stored == names(table, CheckConstraint), table


def test_keys_carry_the_models_names(catalogue):
    for table in TABLES:
        unique = {key["name"] for key in catalogue.get_unique_constraints(table)}
        foreign = {key["name"] for key in catalogue.get_foreign_keys(table)}
        assert unique == names(table, UniqueConstraint), table
        assert foreign == names(table, ForeignKeyConstraint), table


def test_no_index_begins_with_a_foreign_key_and_goes_on_with_a_column_that_may_be_null(catalogue):
    broken = [name for table in TABLES for name in _broken_indexes(catalogue, table)]
    assert not broken


def _broken_indexes(catalogue, table):
    may_be_null = {c["name"] for c in catalogue.get_columns(table) if c["nullable"]}
    indexes = [*catalogue.get_indexes(table), *catalogue.get_unique_constraints(table)]
    for key in catalogue.get_foreign_keys(table):
        n, owner = len(key["constrained_columns"]), key["constrained_columns"]
        for index in indexes:
            columns = index["column_names"]
            if columns[:n] == owner and may_be_null & set(columns[n:]):
                yield index["name"]
