"""Faults of the database reach callers as DatabaseUnavailable, which states the known outcome."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from db.database import CommitInDoubt, Database
from db.queries import users
from service.config.settings import load
from service.domain.transactions import Transactions, open_database
from service.errors import ConfigError, DatabaseUnavailable


class FaultyDatabase(Database):
    """A database whose calls raise `fault` while it is set."""

    fault = None

    def _fail(self):
        if self.fault is not None:
            raise self.fault

    def run(self, work):
        self._fail()
        return super().run(work)

    def ping(self):
        self._fail()
        super().ping()


@pytest.fixture
def database(config):
    database = FaultyDatabase.connect(config.database_url, pool_size=1)
    yield database
    database.dispose()


@pytest.fixture
def transactions(database):
    return Transactions(database)


def lost_connection():
    return OperationalError("SELECT 1", {}, ConnectionError("gone"), connection_invalidated=True)


def add(session):
    return users.add_user(session, email="ann@corp.local", password_hash="none")


def n_users(session):
    return session.scalar(text("SELECT COUNT(*) FROM users"))


def test_run_that_breaks_a_constraint_raises_its_own_error(transactions):
    with pytest.raises(users.EmailTaken):
        [transactions.run(add) for _ in range(2)]
    orphan = text("INSERT INTO logins (id, user_id, created_at) VALUES ('a', 'b', '2026-01-01')")
    with pytest.raises(IntegrityError):
        transactions.run(lambda session: session.execute(orphan).close())


def test_run_with_the_database_down_is_unavailable(transactions, database):
    transactions.run(n_users)
    database.fault = lost_connection()
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        transactions.run(n_users)


def test_run_with_a_commit_in_doubt_says_that_it_may_be_stored(transactions, database):
    transactions.run(n_users)
    database.fault = CommitInDoubt()
    with pytest.raises(DatabaseUnavailable, match="may have been stored"):
        transactions.run(add)


def test_ping_with_the_database_down_is_unavailable_until_it_is_back(transactions, database):
    transactions.ping()
    database.fault = lost_connection()
    with pytest.raises(DatabaseUnavailable, match="does not answer"):
        transactions.ping()
    database.fault = None
    transactions.ping()


@pytest.fixture
def full(transactions):
    """Keep the database file from growing, as a full disk does."""
    transactions.run(lambda s: s.execute(text("PRAGMA max_page_count = 1")).close())


@pytest.mark.usefixtures("full")
def test_run_on_a_full_disk_is_refused_and_prove_writable_names_it(transactions):
    transactions.prove_writable()
    large = "CREATE TABLE t AS SELECT zeroblob(1000000)"  # more than the free pages hold
    with pytest.raises(DatabaseUnavailable, match="cannot be written"):
        transactions.run(lambda s: s.execute(text(large)).close())
    with pytest.raises(DatabaseUnavailable, match="disk is full"):
        transactions.prove_writable()


def test_open_database_in_an_impossible_folder_names_the_setting():
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        open_database(load({"DATABASE_URL": "sqlite:////proc/x/r.db"}), pool_size=1)
