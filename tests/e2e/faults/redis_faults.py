"""Redis away, back and hanging: the limits go on in each process, and no request fails."""

import time

from service.domain.limit_storage import PAUSE_S
from tests.e2e.conftest import Process
from tests.e2e.crashes import KEYS
from tests.e2e.faults.outcome import Outcome, post
from tests.e2e.test_start_and_stop import log_in
from tests.support.calls import HTTP
from tests.support.redis_server import RedisServer
from tests.support.sentences import FLOW_TEXT

N_CALLS = 60
QUOTA = 3
MAX_S = 5.0
"""The timeout of Redis, on a busy machine."""


def run(folder):
    """Kill, restart, freeze and thaw Redis under a service; return the outcomes."""
    limits = {"USER_RATE_LIMIT": "100000 per hour", "ADDRESS_RATE_LIMIT": "100000 per hour"}
    server = RedisServer()
    settings = {**KEYS, **limits, "REDIS_URL": server.url, "SCAN_RATE_LIMIT": f"{QUOTA} per hour"}
    process = Process(folder / "data", **settings)
    try:
        url = process.when_ready().url
        accounts = [log_in(url, f"{n}@corp.local") for n in range(5)]
        outcomes = [_in_use(server, lambda: _phase("Redis there", url, accounts[0]))]
        server.kill()
        outcomes.append(_phase("Redis killed", url, accounts[1]))
        server.start()
        time.sleep(PAUSE_S)
        outcomes.append(_in_use(server, lambda: _phase("Redis back", url, accounts[2])))
        server.freeze()
        outcomes.append(_phase("Redis hangs", url, accounts[3]))
        if outcomes[-1].slowest_s < 1:
            outcomes[-1].wrong.append("no request met the hanging Redis")
        server.thaw()
        time.sleep(PAUSE_S)
        outcomes.append(_in_use(server, lambda: _phase("Redis goes on", url, accounts[4])))
        return outcomes
    finally:
        process.kill()
        server.kill()


def _phase(fault, url, headers):
    """Make ordinary calls, then scan beyond the quota of an account."""
    outcome = Outcome(fault)
    outcome.repeat(lambda: HTTP.get(f"{url}/api/v1/auth/me", headers=headers), N_CALLS)
    outcome.expect("200", within_s=MAX_S)
    scans = [
        outcome.call(lambda: post(url, "/api/scan", headers, json={"text": FLOW_TEXT})).status_code
        for _ in range(QUOTA + 1)
    ]
    if scans != [201] * QUOTA + [429]:
        outcome.wrong.append(f"scans {scans}, with a quota of {QUOTA}")
    return outcome


def _in_use(server, phase):
    """Run a phase in which the service must count in Redis."""
    before = server.n_commands()
    outcome = phase()
    if server.n_commands() - before < N_CALLS:
        outcome.wrong.append("the service did not count in Redis")
    return outcome
