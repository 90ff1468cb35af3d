"""Migrations: up to the models' schema, down and up again, in one process at a time."""

import subprocess
import sys

import pytest
from sqlalchemy import inspect

from db import migrate
from db.database import Database
from db.engines import open_unpooled_engine
from db.tables import FULL_TEXT_TABLES, Base
from tests.db.conftest import mysql


def definitions(url):
    """Return the lines of the statement that creates each table, as MySQL gives them, in any order."""
    with open_unpooled_engine(url).connect() as connection:
        created = {
            name: connection.exec_driver_sql(f"SHOW CREATE TABLE {name}").one()[1]
            for name in inspect(connection).get_table_names()
        }
    return {name: {line.strip(" ,") for line in sql.split("\n")} for name, sql in created.items()}


def tables(url):
    with open_unpooled_engine(url).connect() as connection:
        return set(inspect(connection).get_table_names()) - FULL_TEXT_TABLES


def test_upgrade_empty_database_gives_the_schema_of_the_models(empty_database_url):
    migrate.upgrade(empty_database_url)
    assert migrate.current(empty_database_url) == migrate.head()
    assert migrate.differences(empty_database_url) == []


def test_downgrade_to_base_leaves_no_table_and_can_be_upgraded_again(empty_database_url):
    migrate.upgrade(empty_database_url)
    migrate.downgrade(empty_database_url, "base")
    assert tables(empty_database_url) == {"alembic_version"}
    migrate.upgrade(empty_database_url)
    assert tables(empty_database_url) == {"alembic_version", *Base.metadata.tables}


@mysql
def test_copy_of_the_template_has_the_tables_of_the_migrations(
    own_database_url, empty_database_url
):
    migrate.upgrade(empty_database_url)
    copied, migrated = map(definitions, (own_database_url, empty_database_url))
    assert copied == migrated
    assert copied.keys() == {"alembic_version", *Base.metadata.tables}
    assert migrate.current(own_database_url) == migrate.head()


def test_upgrade_of_a_current_schema_changes_nothing(empty_database_url):
    migrate.upgrade(empty_database_url)
    migrate.upgrade(empty_database_url)
    assert migrate.current(empty_database_url) == migrate.head()


def test_schema_is_usable_only_after_its_upgrade(empty_database_url):
    database = Database.connect(empty_database_url, pool_size=1)
    assert not migrate.is_usable(database)
    migrate.upgrade(empty_database_url)
    assert migrate.is_usable(database)
    database.dispose()


def test_differences_of_an_altered_schema_name_the_column(empty_database_url):
    migrate.upgrade(empty_database_url)
    with open_unpooled_engine(empty_database_url).begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit_events DROP COLUMN request_id")
    [(change, _, table, column)] = migrate.differences(empty_database_url)
    assert (change, table, column.name) == ("add_column", "audit_events", "request_id")


@pytest.mark.system
def test_upgrade_of_three_processes_at_once_succeeds_in_each(empty_database_url):
    command = [
        sys.executable,
        "-c",
        "import sys; from db import migrate; migrate.upgrade(sys.argv[1])",
    ]
    started = [
        subprocess.Popen([*command, empty_database_url], stderr=subprocess.PIPE) for _ in range(3)
    ]
    errors = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], errors
    assert migrate.differences(empty_database_url) == []


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")
def test_upgrade_that_leaves_dangling_rows_is_undone(empty_database_url, monkeypatch):
    migrate.upgrade(empty_database_url)

    def orphan(config, _revision):
        config.attributes["connection"].exec_driver_sql(
            "INSERT INTO logins (id, user_id, created_at) VALUES ('a', 'nobody', '2026-01-01')"
        )

    monkeypatch.setattr(migrate.command, "upgrade", orphan)
    with pytest.raises(ValueError, match="1 rows without their owner"):
        migrate.upgrade(empty_database_url)
    with open_unpooled_engine(empty_database_url).connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM logins").scalar() == 0
