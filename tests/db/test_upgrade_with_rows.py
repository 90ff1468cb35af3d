"""Each migration keeps the rows that it finds, up and down, those without a parent included."""

import pytest
from sqlalchemy import select

from db import migrate
from db.engines import open_unpooled_engine
from db.tables import Feedback
from tests.db.conftest import mysql
from tests.db.old_rows import ROWS, add_orphan, add_rows, all_rows

FIRST = "0004"


@pytest.fixture
def filled_url(empty_database_url):
    """A database as of revision 0004, with a row or two in each table."""
    migrate.upgrade(empty_database_url, FIRST)
    with open_unpooled_engine(empty_database_url).begin() as connection:
        add_rows(connection, ROWS)
    return empty_database_url


def stored(url):
    with open_unpooled_engine(url).connect() as connection:
        return all_rows(connection)


def test_upgrade_and_downgrade_keep_every_row(filled_url):
    before = stored(filled_url)
    assert {name: len(rows) for name, rows in before.items()} == {n: len(r) for n, r in ROWS}
    migrate.upgrade(filled_url)
    assert stored(filled_url) == before
    assert migrate.differences(filled_url) == []
    migrate.downgrade(filled_url, FIRST)
    assert stored(filled_url) == before


def test_upgrade_takes_the_making_of_an_account_for_its_last_change(filled_url):
    migrate.upgrade(filled_url)
    with open_unpooled_engine(filled_url).connect() as connection:
        moments = connection.exec_driver_sql("SELECT created_at, updated_at FROM users").all()
        used = connection.exec_driver_sql("SELECT last_used_at, client_address FROM logins").all()
    assert [created == updated for created, updated in moments] == [True]
    assert used == [(None, None)]


def test_upgrade_keeps_and_reports_a_scan_whose_account_is_gone(filled_url, caplog):
    add_orphan(filled_url)
    before = stored(filled_url)
    migrate.upgrade(filled_url)
    assert stored(filled_url) == before
    assert "scans whose account is gone: 1" in caplog.text


@mysql
def test_upgrade_that_broke_off_between_two_tables_can_run_again(filled_url):
    with open_unpooled_engine(filled_url).connect() as connection:
        connection.exec_driver_sql(
            "ALTER TABLE users DROP CONSTRAINT ck_users_ck_users_role, "
            "ADD CONSTRAINT ck_users_role CHECK (role IN ('user', 'reviewer', 'admin'))"
        )
    migrate.upgrade(filled_url)
    assert migrate.current(filled_url) == migrate.head()


def test_upgrade_takes_verdicts_on_findings_for_verified_and_no_report(filled_url):
    migrate.upgrade(filled_url)
    with open_unpooled_engine(filled_url).connect() as connection:
        rows = connection.execute(select(Feedback.n, Feedback.verified)).all()
    assert dict(rows) == {1: True, 0: False}


@mysql
def test_upgrade_that_broke_off_after_the_new_index_can_run_again(filled_url):
    migrate.upgrade(filled_url, "0006")
    with open_unpooled_engine(filled_url).connect() as connection:
        connection.exec_driver_sql(
            "CREATE INDEX ix_scans_created_at_id ON scans (created_at DESC, id DESC)"
        )
    migrate.upgrade(filled_url)
    assert migrate.differences(filled_url) == []


def test_downgrade_drops_what_the_version_before_foreign_findings_cannot_hold(filled_url):
    migrate.upgrade(filled_url)
    with open_unpooled_engine(filled_url).begin() as connection:
        connection.exec_driver_sql("UPDATE findings SET risk_type = NULL, foreign_risk = 'Lock-in'")
        connection.exec_driver_sql("UPDATE feedback SET span_start = 0, span_end = 0 WHERE n = 1")
    migrate.downgrade(filled_url, "0008")
    rows = stored(filled_url)
    assert (len(rows["findings"]), len(rows["feedback"])) == (0, 1)
