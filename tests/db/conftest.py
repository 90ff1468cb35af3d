"""A migrated database of each kind, and rows to put into it."""

import secrets
from datetime import UTC, datetime

import pytest
import uuid_utils.compat
from sqlalchemy import text

from db.database import Database
from db.queries import scans, users
from db.tables import Scan

OWN_ID = {"mysql": "SELECT CONNECTION_ID()", "postgresql": "SELECT pg_backend_pid()"}
KILL = {"mysql": "KILL CONNECTION {}", "postgresql": "SELECT pg_terminate_backend({})"}
ADDRESS = {
    "mysql": "mysql+pymysql://root@127.0.0.1:{}/x",
    "postgresql": "postgresql+psycopg://postgres@127.0.0.1:{}/x",
}
servers = pytest.mark.parametrize(
    "backend", ["mysql", "postgresql"], indirect=True, scope="session"
)
mysql = pytest.mark.parametrize("backend", ["mysql"], indirect=True, scope="session")
sqlite = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")


@pytest.fixture(scope="module")
def database(database_url):
    """The module's database; its tests share it and make users of their own."""
    database = Database.connect(database_url, pool_size=5)
    yield database
    database.dispose()


@pytest.fixture
def user(database):
    """A new account."""
    return database.run(add_user)


@pytest.fixture
def login(database, user):
    """A log-in of `user`."""
    return database.run(lambda s: users.begin_login(s, user.id))


@pytest.fixture
def store_scan(database, user):
    """Store a scan of `user`, with a finding for each context."""

    def store(*contexts, **values):
        findings = [finding(n, context) for n, context in enumerate(contexts, start=1)]
        values = scan_values(user.id, **values)
        return database.run(lambda s: add_scan(s, values, findings))

    return store


def add_user(session, **values):
    email = values.pop("email", f"{secrets.token_hex(8)}@corp.local")
    return users.add_user(session, email=email, password_hash="argon2", **values)


def add_scan(session, values, findings):
    scans.add_scan(session, values, findings)
    return Scan(**values)


def scan_values(user_id, **changed):
    return {
        "id": uuid_utils.compat.uuid7(),
        "user_id": user_id,
        "filename": None,
        "source": "model",
        "created_at": datetime.now(UTC),
        "model_name": "riskscan-minilm",
        "model_version": "1.0.0",
        "document_sha256": "0" * 64,
        "coverage": {"characters": 1},
        "n_findings": 0,
        "idempotency_key": None,
        "request_sha256": None,
        **changed,
    }


def finding(n, context="The budget is tight.", **changed):
    return {
        "n": n,
        "risk_type": "budget",
        "category": "financial",
        "score": 0.5,
        "context": context,
        "start": 0,
        "end": len(context),
        "page": None,
        **changed,
    }


def count(session, table, column, value):
    statement = text(f"SELECT COUNT(*) FROM {table} WHERE {column} = :value")
    return session.scalar(statement, {"value": value})


def kill(database, session):
    """End the connection of `session` from another one."""
    own = session.scalar(text(OWN_ID[database.engine.dialect.name]))
    with database.engine.connect() as other:
        other.execute(text(KILL[database.engine.dialect.name].format(own)))
