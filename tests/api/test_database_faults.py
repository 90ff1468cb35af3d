"""A database that hangs, or that cannot be written: each request is refused in time, readiness says why."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest
from sqlalchemy import create_engine, make_url, text

from tests.api.conftest import User
from tests.db.conftest import servers
from tests.support.calls import HTTP, caller
from tests.support.relay import Relay
from tests.support.waiting import wait_until

STATEMENT_S = 3


@pytest.fixture
def relay(database_url):
    url = make_url(database_url)
    relay = Relay(url.host, url.port)
    relay.url = url.set(host="127.0.0.1", port=relay.port).render_as_string(hide_password=False)
    relay.open()
    yield relay
    relay.unmute()
    relay.cut()


@pytest.mark.system
@servers
def test_every_request_to_a_hung_database_is_503_in_time(relay, start_service, monkeypatch):
    monkeypatch.setattr("db.engines.STATEMENT_TIMEOUT_S", STATEMENT_S)
    monkeypatch.setattr("db.database.LAST_START_S", 1)
    live = start_service(DATABASE_URL=relay.url, THREADS="4")
    with closing(caller(live.url)) as client, ExitStack() as stack, ThreadPoolExecutor(16) as pool:
        users = [User(client), User(client)]
        for user in users:
            stack.callback(user.http.close)
        relay.mute()
        began = time.monotonic()
        answers = list(pool.map(lambda n: users[n % 2].scan(), range(16)))
        assert {a.json()["code"] for a in answers} == {"database_unavailable"}
        assert time.monotonic() - began < 9 * STATEMENT_S
        relay.unmute()
        wait_until(lambda: users[0].scan().status_code == 201)


def make_read_only(url, value):
    options = {"options": "-c default_transaction_read_only=off"}
    engine = create_engine(url, isolation_level="AUTOCOMMIT", connect_args=options)
    with engine.connect() as connection:
        name = make_url(url).database
        connection.execute(
            text(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
        )
    engine.dispose()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True, scope="session")
def test_ready_of_a_database_that_cannot_be_written_says_so(
    own_database_url, start_service, monkeypatch
):
    monkeypatch.setattr("service.domain.transactions.WRITE_EVERY_S", 0.1)
    url = f"{start_service(DATABASE_URL=own_database_url).url}/health/ready"
    make_read_only(own_database_url, "on")
    wait_until(lambda: HTTP.get(url).status_code == 503)
    assert "cannot be written" in HTTP.get(url).json()["detail"]
    make_read_only(own_database_url, "off")
    wait_until(lambda: HTTP.get(url).status_code == 200)
