"""The upgrade of the database: to the newest schema, or an error that names the remedy."""

import pytest
from sqlalchemy import text

from db import migrate
from db.queries.audit import list_events
from service.config.settings import load
from service.domain.audit import Actor
from service.domain.database_upgrade import upgrade_database
from service.domain.orphans import remove_orphans
from service.errors import ConfigError, DatabaseUnavailable
from tests.db.old_rows import add_orphan

OPERATOR = Actor(operator="cli:root")


def test_upgrade_of_an_empty_database_gives_the_newest_revision(tmp_path):
    config = load({"DATABASE_URL": f"sqlite:///{tmp_path}/empty.db"})
    assert upgrade_database(config) == migrate.head() == migrate.current(config.database_url)


def pretend(transactions, revision):
    """Make the schema look as if another version had brought it to a revision."""
    statement = text("UPDATE alembic_version SET version_num = :revision")
    transactions.run(lambda s: s.execute(statement, {"revision": revision}).close())


@pytest.mark.parametrize("revision", ["9999", "9999.from.9998"])
def test_upgrade_of_a_schema_that_this_code_cannot_use_is_refused(config, transactions, revision):
    pretend(transactions, revision)
    with pytest.raises(ConfigError, match="newer than this version"):
        upgrade_database(config)
    assert migrate.current(config.database_url) == revision


def test_upgrade_leaves_a_later_schema_that_names_this_code_as_it_is(config, transactions, caplog):
    revision = f"9999.from.{migrate.head()[:4]}"
    pretend(transactions, revision)
    assert upgrade_database(config) == revision == migrate.current(config.database_url)
    assert revision in caplog.text


def test_upgrade_in_an_impossible_folder_names_the_setting():
    with pytest.raises(ConfigError, match="DATA_DIR"):
        upgrade_database(load({"DATABASE_URL": "sqlite:////proc/x/r.db"}))


def test_upgrade_with_the_server_down_names_the_setting_without_its_password():
    config = load({"DATABASE_URL": "mysql+pymysql://root:hunter2@127.0.0.1:9/none"})
    with pytest.raises(DatabaseUnavailable, match="DATABASE_URL") as caught:
        upgrade_database(config)
    assert "hunter2" not in caught.value.message


def test_remove_orphans_twice_records_one_removal(config, transactions):
    add_orphan(config.database_url)
    assert transactions.run(remove_orphans, actor=OPERATOR) == {"scans": 1}
    assert transactions.run(remove_orphans, actor=OPERATOR) == {}
    [event] = transactions.read(list_events, limit=9)
    assert event.detail == {"operator": "cli:root", "scans": 1}
