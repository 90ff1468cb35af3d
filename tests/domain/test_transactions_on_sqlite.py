"""Transactions on a SQLite file that other processes write: composition, locks, commits in doubt."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from db import migrate
from db.database import Database
from db.queries import users
from service.domain.transactions import Transactions
from service.errors import Conflict, DatabaseUnavailable


@pytest.fixture
def database(tmp_path):
    database = Database.connect(f"sqlite:///{tmp_path}/x.db?timeout=0.05", pool_size=2)
    yield database
    database.dispose()


@pytest.fixture
def transactions(database):
    migrate.upgrade(database.engine.url.render_as_string(hide_password=False))
    return Transactions(database)


def add(session, email, *, role="user"):
    return users.add_user(session, email=email, password_hash="argon2", role=role)


def addresses(transactions):
    return [user.email for user in transactions.read(users.list_users)]


def test_run_passes_arguments_commits_and_returns_the_result(transactions):
    assert transactions.run(add, "a@corp.local", role="admin").role == "admin"
    assert addresses(transactions) == ["a@corp.local"]


def test_run_of_two_use_cases_stores_both_or_none(transactions):
    def add_both(session):
        add(session, "a@corp.local")
        raise Conflict("the second one fails")

    with pytest.raises(Conflict):
        transactions.run(add_both)
    assert addresses(transactions) == []


def test_run_while_another_process_writes_is_unavailable_and_reads_go_on(transactions, database):
    with closing(sqlite3.connect(database.engine.url.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            transactions.run(add, "a@corp.local")
        assert addresses(transactions) == []


def test_run_whose_commit_stays_in_doubt_names_the_idempotency_key(
    transactions, database, monkeypatch
):
    """The disk fails during COMMIT, and another process keeps the lookup waiting."""
    monkeypatch.setattr("db.database.LOOKUP_S", 0.1)
    other = sqlite3.connect(database.engine.url.database, isolation_level=None)

    def fail(connection):
        connection.connection.rollback()
        other.execute("BEGIN IMMEDIATE")
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
        raise OperationalError("COMMIT", {}, error)

    transactions.read(users.list_users)
    event.listen(database.engine, "commit", fail)
    with pytest.raises(DatabaseUnavailable, match="Idempotency-Key"):
        transactions.run(add, "a@corp.local")
    event.remove(database.engine, "commit", fail)
    other.close()
