"""Pings of the database: over a connection of their own, within a time limit, and after a fault."""

import shutil
import socket
import time

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from db.database import PING_TIMEOUT_S, Database, is_unavailable
from db.engines import BEGIN_IMMEDIATE
from db.error_codes import is_unwritable
from db.tables import WriteProbe
from tests.db.conftest import ADDRESS, KILL, mysql, servers, sqlite
from tests.support.relay import Relay
from tests.support.waiting import wait_until


@servers
def test_ping_of_a_server_that_never_answers_ends_in_time(backend):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = Database.connect(ADDRESS[backend].format(silent.getsockname()[1]), pool_size=1)
        began = time.monotonic()
        with pytest.raises(OperationalError) as caught:
            database.ping()
    assert time.monotonic() - began < 2 * PING_TIMEOUT_S
    assert is_unavailable(caught.value)


def connections(database):
    statement = text("SELECT id FROM information_schema.processlist WHERE db = DATABASE()")
    return set(database.run(lambda s: s.scalars(statement).all()))


@pytest.fixture
def probing(database, database_url):
    """A database that was pinged once; `probe_id` is the connection of its pings."""
    before = connections(database)
    probing = Database.connect(database_url, pool_size=1)
    probing.ping()
    [probing.probe_id] = connections(database) - before
    yield probing
    probing.dispose()


@mysql
def test_ping_keeps_its_connection_until_disposed(database, probing):
    before = connections(database)
    probing.ping()
    assert connections(database) == before
    probing.dispose()
    wait_until(lambda: connections(database) == before - {probing.probe_id})


@mysql
def test_ping_whose_connection_was_killed_answers_over_another(database, probing):
    with database.engine.connect() as other:
        other.execute(text(KILL["mysql"].format(probing.probe_id)))
    probing.ping()
    assert probing.probe_id not in connections(database)


@pytest.mark.system
@mysql
def test_ping_of_a_server_gone_silent_ends_in_time_and_recovers(database_url):
    url = make_url(database_url)
    relay = Relay(url.host, url.port)
    relay.open()
    through = url.set(host="127.0.0.1", port=relay.port)
    database = Database.connect(through.render_as_string(hide_password=False), pool_size=1)
    database.ping()
    relay.mute()
    began = time.monotonic()
    with pytest.raises(OperationalError) as caught:
        database.ping()
    assert time.monotonic() - began < 3 * PING_TIMEOUT_S
    assert is_unavailable(caught.value)
    relay.unmute()
    database.ping()
    database.dispose()
    relay.cut()


def test_ping_without_its_file_is_unavailable(tmp_path):
    folder = tmp_path / "data"
    database = Database.connect(f"sqlite:///{folder}/x.db", pool_size=1)
    database.ping()
    shutil.rmtree(folder)
    with pytest.raises(OperationalError) as caught:
        database.ping()
    assert is_unavailable(caught.value)


def written_at(database):
    return database.run(lambda s: s.get(WriteProbe, 1).written_at)


def test_write_commits(database):
    database.write()
    first = written_at(database)
    database.write()
    assert written_at(database) > first


def test_write_of_many_bytes_frees_them(database):
    database.write(n_bytes=200_000)
    assert database.run(lambda s: s.get(WriteProbe, 1).payload) is None


@sqlite
def test_write_to_a_file_locked_by_another_writer_is_not_unwritable(database_url):
    database = Database.connect(f"{database_url}?timeout=0.05", pool_size=1)
    with database.engine.connect().execution_options(**{BEGIN_IMMEDIATE: True}) as writer:
        writer.execute(text("SELECT 1"))
        with pytest.raises(OperationalError) as caught:
            database.write()
        assert not is_unwritable(caught.value)
    database.dispose()


def test_ping_with_a_busy_pool_answers(database):
    busy = [database.engine.connect() for _ in range(5)]
    database.ping()
    for connection in busy:
        connection.close()
