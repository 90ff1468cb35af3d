"""Fixtures that every folder of tests shares."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis

from tests.support import memory_servers
from tests.support.databases import BACKENDS, Templates, fresh_database

os.environ["RISKSCAN_ENV_FILE"] = ""  # no test reads a developer's own .env
REDIS_URL = "redis://127.0.0.1:6379/9"


SYSTEM = tuple(Path(__file__).parent / name for name in ("e2e", "web"))


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items):
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in SYSTEM):
            item.add_marker("system")


@pytest.hookimpl(trylast=True)  # after the last fixtures, which drop their databases
def pytest_sessionfinish():
    memory_servers.stop_all()


@pytest.fixture(scope="session", params=BACKENDS)
def backend(request):
    """Each kind of database in turn; a folder or module with its own `backend` narrows this."""
    return request.param


@pytest.fixture(scope="session")
def templates(tmp_path_factory):
    """Databases to copy, for all tests."""
    with Templates(tmp_path_factory.mktemp("templates")) as opened:
        yield opened


@pytest.fixture(scope="module")
def database_url(backend, templates, tmp_path_factory):
    """URL of the module's database of this kind, of the newest schema."""
    with templates.copy(backend, tmp_path_factory.mktemp("database")) as url:
        yield url


@pytest.fixture
def own_database_url(backend, templates, tmp_path):
    """URL of a database of the newest schema for this test alone."""
    with templates.copy(backend, tmp_path) as url:
        yield url


@pytest.fixture
def empty_database_url(backend, tmp_path):
    """URL of a database without tables for this test alone."""
    with fresh_database(backend, tmp_path) as url:
        yield url


@pytest.fixture
def mysql_url(tmp_path):
    """URL of a MySQL or MariaDB database for this test alone."""
    with fresh_database("mysql", tmp_path) as url:
        yield url


@pytest.fixture
def redis_url():
    """Address of a Redis database for tests; skips the test if no Redis runs."""
    client = redis.Redis.from_url(REDIS_URL, socket_connect_timeout=1)
    try:
        client.ping()
    except redis.RedisError:
        pytest.skip("no Redis runs at 127.0.0.1:6379")
    finally:
        client.close()
    return REDIS_URL


@pytest.fixture(scope="session")
def model_with_exit():
    """The folder of a copy of the shipped model with an exit; removed at the end, since it has 25 MB."""
    from tests.support.early_exits import write_model_with_exit  # noqa: PLC0415 - heavy

    with TemporaryDirectory(prefix="riskscan-exit-") as folder:
        yield write_model_with_exit(Path(folder) / "model")
