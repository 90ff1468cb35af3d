"""Real databases for tests, created under a random name and dropped afterwards.

They are on the servers that the environment names. Without a name, pytest starts servers in memory, which
wait for no disk; benchmarks, and pytest where it cannot start one, use the servers at the usual ports.
A test is skipped if its database server does not answer, unless RISKSCAN_TEST_REQUIRE names the server
("mysql,postgresql"); then it fails.
"""

import os
import secrets
import shutil
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import OperationalError

from db import migrate
from tests.support.memory_servers import start_in_memory

BACKENDS = ("sqlite", "mysql", "postgresql")
_SERVERS = {
    "mysql": ("RISKSCAN_TEST_MYSQL_URL", "mysql+pymysql://root@127.0.0.1:3306"),
    "postgresql": (
        "RISKSCAN_TEST_POSTGRESQL_URL",
        "postgresql+psycopg://postgres@127.0.0.1:5432/postgres",
    ),
}
_in_memory = {}
"""By kind, the URL of the server that this process started; None if it cannot start one."""
_DROP = {"mysql": "DROP DATABASE {}", "postgresql": "DROP DATABASE {} WITH (FORCE)"}


@contextmanager
def fresh_database(backend, folder, *, options=""):
    """Yield the URL of a new, empty database; SQLite's file is in `folder`."""
    name = f"riskscan_test_{secrets.token_hex(6)}"
    if backend == "sqlite":
        yield f"sqlite:///{folder / name}.db"
        return
    server = make_url(_server(backend))
    engine = create_engine(
        server, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 5}
    )
    try:
        _execute(engine, f"CREATE DATABASE {name} {options}")
    except OperationalError as error:
        engine.dispose()
        _skip_or_fail(backend, error)
    try:
        yield server.set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(engine, _DROP[backend].format(name))
        engine.dispose()


def _server(backend):
    variable, usual = _SERVERS[backend]
    if named := os.environ.get(variable):
        return named
    if "PYTEST_VERSION" not in os.environ:
        return usual
    if backend not in _in_memory:
        _in_memory[backend] = start_in_memory(backend)
    return _in_memory[backend] or usual


class Templates:
    """Databases of the newest schema, migrated once for each kind; a copy takes a tenth of the time."""

    def __init__(self, folder):
        self._folder = folder
        self._urls = {}
        self._stack = ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stack.close()

    @contextmanager
    def copy(self, backend, folder):
        """Yield the URL of a new database of the newest schema; SQLite's file is in `folder`."""
        template = make_url(self._url(backend))
        options = f"TEMPLATE {template.database}" if backend == "postgresql" else ""
        with fresh_database(backend, folder, options=options) as url:
            if backend == "sqlite":
                shutil.copy(template.database, make_url(url).database)
            if backend == "mysql":
                _copy_tables(template.database, url)
            yield url

    def _url(self, backend):
        if backend not in self._urls:
            url = self._stack.enter_context(fresh_database(backend, self._folder))
            migrate.upgrade(url)
            self._urls[backend] = url
        return self._urls[backend]


def _copy_tables(template, url):
    """Create the tables of the database `template` in the one at `url`, and copy their rows."""
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("SET foreign_key_checks = 0"))
        for table in inspect(connection).get_table_names(schema=template):
            created = connection.execute(text(f"SHOW CREATE TABLE {template}.{table}")).one()
            connection.exec_driver_sql(created[1].replace("%", "%%"))
            connection.execute(text(f"INSERT INTO {table} SELECT * FROM {template}.{table}"))
    engine.dispose()


def _execute(engine, statement):
    with engine.connect() as connection:
        connection.execute(text(statement))


def _skip_or_fail(backend, error):
    message = f"no {backend} server at {_SERVERS[backend][0]}: {error.orig}"
    if backend in os.environ.get("RISKSCAN_TEST_REQUIRE", "").split(","):
        pytest.fail(message)
    pytest.skip(message)
