"""A transaction that the database drops runs again from its start; one that cannot succeed says why."""

import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pymysql
import pytest
import uuid_utils.compat
from sqlalchemy import create_engine, event, make_url, text
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from db.database import Database, is_unavailable
from db.error_codes import is_retryable
from db.queries import users
from db.tables import User
from tests.db.conftest import (
    ADDRESS,
    KILL,
    OWN_ID,
    add_user,
    count,
    kill,
    servers,
    sqlite,
)
from tests.support.relay import Relay


def execute(database, statement):
    with database.engine.begin() as connection:
        connection.execute(text(statement))


def n_users(database, address):
    return database.read(lambda s: count(s, "users", "email", address))


@servers
def test_transaction_killed_midway_runs_again_whole(database):
    runs = []

    def work(session):
        runs.append(add_user(session, email="killed@corp.local").id)
        if len(runs) == 1:
            kill(database, session)
        return add_user(session).id

    assert database.run(work) is not None
    assert len(runs) == 2
    assert n_users(database, "killed@corp.local") == 1


@servers
def test_transaction_killed_before_commit_runs_again(database):
    runs = []

    def work(session):
        runs.append(add_user(session, email="late@corp.local").id)
        if len(runs) == 1:
            kill(database, session)

    database.run(work)
    assert len(runs) == 2
    assert n_users(database, "late@corp.local") == 1


@servers
def test_transaction_killed_each_time_gives_up_as_unavailable(database):
    runs = []

    def work(session):
        runs.append(session)
        kill(database, session)
        session.execute(text("SELECT 1"))

    with pytest.raises(OperationalError) as caught:
        database.run(work)
    assert len(runs) == 3
    assert is_unavailable(caught.value)


@servers
def test_connection_killed_while_idle_is_replaced(database, database_url, backend):
    one = Database.connect(database_url, pool_size=1)
    with one.engine.connect() as idle:
        own = idle.scalar(text(OWN_ID[backend]))
    with database.engine.connect() as other:
        other.execute(text(KILL[backend].format(own)))
    assert n_users(one, "nobody") == 0
    one.dispose()


def pooled_ids(database, n):
    """Return the server's ids of `n` pooled connections, opened if necessary."""
    with ExitStack() as lent:
        idle = [lent.enter_context(database.engine.connect()) for _ in range(n)]
        own = text(OWN_ID[database.engine.dialect.name])
        return [connection.scalar(own) for connection in idle]


@servers
def test_connections_all_killed_while_idle_fail_no_parallel_transaction(database, database_url):
    pool = Database.connect(database_url, pool_size=8)
    runs = []

    def work(session):
        runs.append(session)
        return add_user(session).id

    for own in pooled_ids(pool, 8):
        with database.engine.connect() as other:
            other.execute(text(KILL[database.engine.dialect.name].format(own)))
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: pool.run(work), range(64)))
    assert 64 < len(runs) <= 64 + 8  # each dead connection failed one run at most
    assert all(database.run(lambda s, i=i: s.get(User, i)) for i in ids)
    pool.dispose()


@servers
def test_transaction_with_the_server_down_is_unavailable_until_it_is_back(database_url):
    url = make_url(database_url)
    relay = Relay(url.host, url.port)
    relay.open()
    near = url.set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)
    one = Database.connect(near, pool_size=1)
    for _ in range(2):
        assert n_users(one, "nobody") == 0
        relay.cut()
        with pytest.raises(OperationalError) as caught:
            n_users(one, "nobody")
        assert is_unavailable(caught.value)
        relay.open()
    assert n_users(one, "nobody") == 0
    one.dispose()
    relay.cut()


@pytest.mark.system
@servers
def test_transaction_on_a_server_gone_silent_ends_after_one_statement_timeout(
    database_url, monkeypatch
):
    monkeypatch.setattr("db.engines.STATEMENT_TIMEOUT_S", 2)
    monkeypatch.setattr("db.database.LAST_START_S", 1)
    url = make_url(database_url)
    relay = Relay(url.host, url.port)
    relay.open()
    near = url.set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)
    one = Database.connect(near, pool_size=1)
    assert n_users(one, "nobody") == 0
    relay.mute()
    began = time.monotonic()
    with pytest.raises(OperationalError) as caught:
        n_users(one, "nobody")
    assert is_unavailable(caught.value)
    assert time.monotonic() - began < 2 * 2 + 1
    relay.unmute()
    assert n_users(one, "nobody") == 0
    one.dispose()
    relay.cut()


@servers
def test_transaction_retries_at_once_first_and_after_a_pause_then(database, monkeypatch):
    waits_s, runs = [], []
    monkeypatch.setattr("tenacity.nap.time.sleep", waits_s.append)

    def work(session):
        runs.append(session)
        if len(runs) < 3:
            kill(database, session)
            session.execute(text("SELECT 1"))

    database.run(work)
    assert waits_s[0] == 0
    assert 0 < waits_s[1] <= 0.1


@sqlite
def test_transactions_that_read_before_they_write_run_one_by_one(database, user):
    runs = []

    def append(session):
        runs.append(session)
        stored = session.get(User, user.id)
        stored.password_hash += "x"

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: database.run(append), range(8)))
    assert len(runs) == 8
    assert database.read(lambda s: s.get(User, user.id)).password_hash == f"argon2{'x' * 8}"


@sqlite
def test_transaction_on_a_locked_file_is_unavailable(own_database_url):
    database = Database.connect(f"{own_database_url}?timeout=0.05", pool_size=1)
    holder = sqlite3.connect(database.engine.url.database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError) as caught:
        database.run(add_user)
    assert is_retryable(caught.value)
    assert is_unavailable(caught.value)
    holder.close()
    database.run(add_user)
    database.dispose()


def test_transaction_without_its_file_is_unavailable(tmp_path):
    folder = tmp_path / "data"
    database = Database.connect(f"sqlite:///{folder}/x.db", pool_size=1)
    shutil.rmtree(folder)
    with pytest.raises(OperationalError) as caught:
        database.read(lambda s: s.execute(text("SELECT 1")))
    assert is_unavailable(caught.value)


def test_transaction_that_raises_runs_once_and_stores_nothing(database):
    runs = []

    def work(session):
        runs.append(add_user(session, email="undone@corp.local"))
        raise KeyError("the caller's own")

    with pytest.raises(KeyError):
        database.run(work)
    assert len(runs) == 1
    assert n_users(database, "undone@corp.local") == 0


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, GeneratorExit])
def test_transaction_that_raises_leaves_nothing_to_the_next_of_its_connection(database_url, error):
    one = Database.connect(database_url, pool_size=1)
    address = f"{uuid_utils.compat.uuid7()}@corp.local"

    def work(session):
        add_user(session, email=address)
        raise error

    before = one.run(driver_connection)
    with pytest.raises(error):
        one.run(work)
    assert one.run(driver_connection) is before
    assert one.run(lambda s: count(s, "users", "email", address)) == 0
    one.dispose()


def driver_connection(session):
    return session.connection().connection.driver_connection


def test_commit_that_fails_leaves_nothing_to_the_next_of_its_connection(database_url):
    one = Database.connect(database_url, pool_size=1)
    address = f"{uuid_utils.compat.uuid7()}@corp.local"

    def refuse(_connection):
        raise KeyError("before the COMMIT is sent")

    one.run(driver_connection)
    event.listen(one.engine, "commit", refuse)
    with pytest.raises(KeyError):
        one.run(lambda s: add_user(s, email=address))
    event.remove(one.engine, "commit", refuse)
    assert one.run(lambda s: count(s, "users", "email", address)) == 0
    one.dispose()


@sqlite
def test_commit_that_sqlite_refuses_leaves_nothing_behind(database_url):
    """SQLite keeps the transaction open when a COMMIT fails."""
    one = Database.connect(database_url, pool_size=1)

    def work(session):
        session.execute(text("PRAGMA defer_foreign_keys = ON"))
        users.begin_login(session, uuid_utils.compat.uuid7())

    before = one.run(lambda s: s.scalar(text("SELECT COUNT(*) FROM logins")))
    with pytest.raises(IntegrityError):
        one.run(work)
    assert one.run(lambda s: s.scalar(text("SELECT COUNT(*) FROM logins"))) == before
    one.dispose()


@pytest.mark.parametrize("backend", ["mysql"], indirect=True, scope="session")
def test_transaction_sends_its_statements_and_commit_alone(database, monkeypatch):
    sent = []
    execute = pymysql.connections.Connection._execute_command  # noqa: SLF001 - no public way

    def record(self, command, sql):
        sent.append(sql)
        return execute(self, command, sql)

    monkeypatch.setattr(pymysql.connections.Connection, "_execute_command", record)
    for _ in range(2):
        database.read(lambda s: s.execute(text("SELECT 1")))
    assert sent[-4:] == [b"SELECT 1", "COMMIT"] * 2


def test_transaction_with_a_wrong_statement_runs_once_and_is_not_unavailable(database):
    runs = []

    def work(session):
        runs.append(session)
        session.execute(text("SELECT nothing FROM nowhere"))

    with pytest.raises((ProgrammingError, OperationalError)) as caught:
        database.run(work)
    assert len(runs) == 1
    assert not is_unavailable(caught.value)


def test_result_is_readable_after_the_transaction(database, user):
    assert database.run(lambda s: s.get(User, user.id)).email == user.email


@servers
def test_transaction_with_a_refused_connection_is_unavailable(backend):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        database = Database.connect(ADDRESS[backend].format(closed.getsockname()[1]), pool_size=1)
        with pytest.raises(OperationalError) as caught:
            database.read(lambda s: s.execute(text("SELECT 1")))
    assert is_unavailable(caught.value)


def test_transaction_without_a_free_connection_is_unavailable(database_url):
    database = Database(create_engine(database_url, pool_size=1, max_overflow=0, pool_timeout=0.05))
    with database.engine.connect(), pytest.raises(PoolTimeout) as caught:
        database.read(lambda s: s.execute(text("SELECT 1")))
    assert is_unavailable(caught.value)
    database.dispose()


def test_connect_creates_a_file_that_only_its_owner_reads(tmp_path):
    database = Database.connect(f"sqlite:///{tmp_path}/private/x.db", pool_size=1)
    execute(database, "CREATE TABLE t (n INTEGER)")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "private").iterdir()}
    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o700
    database.dispose()


@sqlite
@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("foreign_keys", 1), ("busy_timeout", 5000)]
)
def test_connect_sets_the_pragmas(database, pragma, value):
    assert database.run(lambda s: s.scalar(text(f"PRAGMA {pragma}"))) == value


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), OperationalError("s", {}, None)]
)
def test_other_errors_are_not_unavailable(error):
    assert not is_unavailable(error)


COUNT_AND_CLOSE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
print(connection.execute("SELECT COUNT(*) FROM t").fetchone()[0])
connection.close()
"""


def count_in_another_process(path):
    """Count the rows of t in another process, which then closes the database."""
    command = [sys.executable, "-c", COUNT_AND_CLOSE, str(path)]
    return int(subprocess.run(command, check=True, capture_output=True).stdout)


def test_connect_to_an_open_sqlite_file_keeps_the_locks_of_open_connections(tmp_path):
    """Without the locks, another process that closes the database would delete the WAL in use here."""
    path = tmp_path / "x.db"
    database = Database.connect(f"sqlite:///{path}", pool_size=1)
    execute(database, "CREATE TABLE t (n INTEGER)")
    Database.connect(f"sqlite:///{path}", pool_size=1).dispose()
    assert count_in_another_process(path) == 0
    execute(database, "INSERT INTO t VALUES (1)")
    assert count_in_another_process(path) == 1
    database.dispose()
