"""Real databases for tests, created under a random name and dropped afterwards.

A test is skipped if its database server does not answer, unless RISKSCAN_TEST_REQUIRE names the server
("mysql,postgresql"); then it fails.
"""

import os
import secrets
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

BACKENDS = ("sqlite", "mysql", "postgresql")
_SERVERS = {
    "mysql": ("RISKSCAN_TEST_MYSQL_URL", "mysql+pymysql://root@127.0.0.1:3306"),
    "postgresql": (
        "RISKSCAN_TEST_POSTGRESQL_URL",
        "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
    ),
}
_DROP = {"mysql": "DROP DATABASE {}", "postgresql": "DROP DATABASE {} WITH (FORCE)"}


@contextmanager
def fresh_database(backend, folder):
    """Yield the URL of a new, empty database; SQLite's file is in `folder`."""
    name = f"riskscan_test_{secrets.token_hex(6)}"
    if backend == "sqlite":
        yield f"sqlite:///{folder / name}.db"
        return
    server = make_url(os.environ.get(*_SERVERS[backend]))
    engine = create_engine(
        server, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 5}
    )
    try:
        _execute(engine, f"CREATE DATABASE {name}")
    except OperationalError as error:
        engine.dispose()
        _skip_or_fail(backend, error)
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(engine, _DROP[backend].format(name))
        engine.dispose()


def _execute(engine, statement):
    with engine.connect() as connection:
        connection.execute(text(statement))


def _skip_or_fail(backend, error):
    message = f"no {backend} server at {_SERVERS[backend][0]}: {error.orig}"
    if backend in os.environ.get("RISKSCAN_TEST_REQUIRE", "").split(","):
        pytest.fail(message)
    pytest.skip(message)
