"""More requests at once than database connections: they wait for one another, and all are answered."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.api.conftest import User
from tests.support.calls import caller

pytestmark = pytest.mark.every_database
N_AT_ONCE = 24


def test_scans_that_share_one_connection_are_all_stored(start_service, database_url):
    live = start_service(
        DATABASE_URL=database_url, DATABASE_POOL_SIZE="5", BATCH_WORKERS="0", REGISTRATION="open"
    )
    with closing(caller(live.url)) as client, ThreadPoolExecutor(N_AT_ONCE) as pool:
        user = User(client)
        answers = list(pool.map(lambda _: user.scan().status_code, range(N_AT_ONCE)))
        assert answers == [201] * N_AT_ONCE
        assert user.http.get("/api/v1/scans").json()["total"] == N_AT_ONCE
        user.http.close()
