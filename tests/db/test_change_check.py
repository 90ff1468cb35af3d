"""change_check gives a vocabulary a new value, on each database."""

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import text

from db.engines import open_unpooled_engine
from db.migrations.checks import change_check
from db.tables import Role
from db.tables.base import one_of

BEFORE = one_of("role", Role)
AFTER = BEFORE.replace(")", ", 'guest')")
ADD = text(
    "INSERT INTO users (id, email, password_hash, role, created_at) "
    "VALUES ('0190a5f0000070008000000000000001', 'a@corp.local', 'x', 'guest', '2026-11-01 00:00:00')"
)


@pytest.fixture
def engine(own_database_url):
    engine = open_unpooled_engine(own_database_url)
    yield engine
    engine.dispose()


def test_change_check_lets_a_row_with_the_new_value_in(engine):
    with engine.begin() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            change_check("users", "ck_users_role", BEFORE, AFTER)
        connection.execute(ADD)
        assert connection.scalar(text("SELECT role FROM users")) == "guest"
