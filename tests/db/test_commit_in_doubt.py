"""The connection breaks during COMMIT: a lookup in the database tells whether it happened."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils.compat
from sqlalchemy import select
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import OperationalError

from db import migrate
from db.commit_markers import LIFE
from db.database import CommitInDoubt, Database
from db.queries import audit
from db.tables import TransactionMarker, User
from tests.db.conftest import add_user, count, servers, sqlite
from tests.support.relay import relay_before


@pytest.fixture
def relay(database_url):
    relay = relay_before(database_url)
    relay.open()
    yield relay
    relay.cut()


@pytest.fixture
def relayed(database, relay):  # noqa: ARG001 - migrated first
    """The module's database, reached through the relay."""
    relayed = Database.connect(relay.url, pool_size=3)
    yield relayed
    relayed.dispose()


def add_recorded_user(session):
    """Add a user as use cases do, with an audit event."""
    user = add_user(session)
    event = audit.Event("user.registered", user.id, "user", str(user.id), None, {})
    audit.add_events(session, [event])
    return user


def add_user_in_savepoint(session):
    """Add a user whose only event was rolled back with its savepoint."""
    with session.begin_nested() as savepoint:
        add_recorded_user(session)
        savepoint.rollback()
    return add_user(session)


WRITERS = pytest.mark.parametrize("add", [add_user, add_recorded_user, add_user_in_savepoint])


def recorded(runs, add):
    def work(session):
        runs.append(add(session))
        return runs[-1]

    return work


def n_stored(database, users):
    return sum(database.read(lambda s, u=u: count(s, "users", "email", u.email)) for u in users)


@servers
@WRITERS
def test_commit_that_arrived_is_looked_up_and_does_not_run_again(relayed, relay, database, add):
    runs = []
    relay.lose_answers(1)
    user = relayed.run(recorded(runs, add))
    assert relay.n_lost == 1
    assert len(runs) == 1
    assert database.read(lambda s: s.get(User, user.id)).email == user.email


@servers
@WRITERS
def test_commit_that_never_arrived_runs_again(relayed, relay, database, add):
    runs = []
    relay.lose_commits(1)
    user = relayed.run(recorded(runs, add))
    assert relay.n_lost == 1
    assert len(runs) == 2
    assert n_stored(database, runs) == 1
    assert database.read(lambda s: s.get(User, user.id)).email == user.email


@servers
def test_commit_that_never_arrives_gives_up_with_nothing_stored(relayed, relay, database):
    runs = []
    relay.lose_commits(100)
    with pytest.raises(OperationalError):
        relayed.run(recorded(runs, add_user))
    relay.lose_commits(0)
    assert len(runs) == 3
    assert n_stored(database, runs) == 0


@servers
@pytest.mark.parametrize("is_stored", [True, False])
def test_commit_in_doubt_with_the_database_down_is_reported(
    relayed, relay, database, monkeypatch, is_stored
):
    monkeypatch.setattr("db.database.LOOKUP_S", 0.2)
    runs = []
    relay.on_loss = relay.refuse
    (relay.lose_answers if is_stored else relay.lose_commits)(1)
    with pytest.raises(CommitInDoubt):
        relayed.run(recorded(runs, add_user))
    relay.open()
    assert len(runs) == 1
    assert n_stored(database, runs) == is_stored


@servers
def test_lookup_of_a_transaction_still_open_on_the_server_waits_for_it(relayed, relay, database):
    """The COMMIT is still on its way, for instance in a proxy, after the connection broke here."""
    runs = []
    relay.delay_commits(1)
    user = relayed.run(recorded(runs, add_user))
    assert len(runs) == 1
    assert n_stored(database, [user]) == 1


@servers
def test_read_with_a_lost_answer_is_not_looked_up(relayed, relay, database):
    user = database.run(add_user)
    relay.lose_answers()
    assert n_stored(relayed, [user]) == 1


@pytest.fixture
def break_commits(monkeypatch):
    """Have SQLite report an I/O error for the first COMMIT, before or after it happens."""

    def arrange(*, is_stored):
        commit, due = DefaultDialect.do_commit, [True]

        def commit_and_fail(self, connection):
            if not due:
                return commit(self, connection)
            due.clear()
            if is_stored:
                commit(self, connection)
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_READ
            raise OperationalError("COMMIT", {}, error)

        monkeypatch.setattr(DefaultDialect, "do_commit", commit_and_fail)

    return arrange


@sqlite
@WRITERS
@pytest.mark.parametrize("is_stored", [True, False])
def test_commit_in_doubt_of_sqlite_is_looked_up(database, break_commits, add, is_stored):
    runs = []
    break_commits(is_stored=is_stored)
    if is_stored:
        database.run(recorded(runs, add))
    else:
        with pytest.raises(OperationalError):
            database.run(recorded(runs, add))
    assert len(runs) == 1
    assert n_stored(database, runs) == is_stored


def test_transaction_without_an_event_leaves_a_marker_and_deletes_old_ones(
    empty_database_url,
):
    migrate.upgrade(empty_database_url)
    database = Database.connect(empty_database_url, pool_size=1)
    too_old = TransactionMarker(
        id=uuid_utils.compat.uuid7(), created_at=datetime.now(UTC) - LIFE - timedelta(seconds=1)
    )
    with database.engine.begin() as connection:
        row = {"id": too_old.id, "created_at": too_old.created_at}
        connection.execute(TransactionMarker.__table__.insert(), [row])
    database.run(add_user)
    [marker] = database.read(lambda s: s.scalars(select(TransactionMarker)).all())
    assert marker.id != too_old.id
    database.run(add_recorded_user)
    assert len(database.read(lambda s: s.scalars(select(TransactionMarker)).all())) == 1
    database.dispose()
