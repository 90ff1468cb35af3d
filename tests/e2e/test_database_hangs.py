"""A database that is frozen, with its limits as shipped: every request is answered in time."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.crashes import servers
from tests.e2e.test_start_and_stop import log_in
from tests.support.calls import HTTP
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

LIMIT_S = 35


@pytest.mark.slow
@pytest.mark.parametrize("n_accounts", [1, 12])
def test_every_request_to_a_frozen_database_is_503_in_time(n_accounts):
    with servers() as (database, service):
        accounts = [log_in(service.url, f"{n}@corp.local") for n in range(n_accounts)]

        def scan(n):
            began_s = time.monotonic()
            headers = accounts[n % n_accounts]
            answer = HTTP.post(f"{service.url}/api/scan", json={"text": FLOW_TEXT}, headers=headers)
            return answer.status_code, time.monotonic() - began_s

        database.freeze()
        with ThreadPoolExecutor(24) as clients:
            answers = list(clients.map(scan, range(24)))
        database.thaw()
        assert {status for status, _ in answers} == {503}
        assert max(duration_s for _, duration_s in answers) < LIMIT_S
        wait_until(lambda: scan(0)[0] == 201)
