"""Replicas of the service that start together on one empty database."""

import pytest

from tests.e2e.test_start_and_stop import log_in
from tests.support.calls import HTTP
from tests.support.databases import fresh_database
from tests.support.sentences import FLOW_TEXT

KEYS = {"SECRET_KEY": "s" * 32, "JWT_SECRET": "j" * 32}


@pytest.mark.parametrize("backend", ["mysql", "postgresql"], scope="session")
def test_replicas_that_start_at_once_migrate_once_and_share_accounts(backend, start, tmp_path):
    with fresh_database(backend, tmp_path) as url:
        first, second = (start(ready=False, DATABASE_URL=url, **KEYS) for _ in range(2))
        for replica in (first, second):
            replica.when_ready()
            assert not [line for line in replica.lines if '"level": "ERROR"' in line]
        headers = log_in(first.url)
        scan = HTTP.post(f"{second.url}/api/scan", json={"text": FLOW_TEXT}, headers=headers)
        assert scan.status_code == 201
        stored = HTTP.get(f"{first.url}/api/scans/{scan.json()['scan_id']}", headers=headers)
        assert stored.json()["data"] == scan.json()["data"]
        for replica in (second, first):
            replica.kill()
