"""Overload: requests beyond the queue are rejected at once, and the accepted ones are finished."""

from concurrent.futures import ThreadPoolExecutor, wait

import httpx
import pytest

from service.server.admission import WAITING_PER_THREAD
from tests.e2e.conftest import running_process
from tests.support.calls import HTTP
from tests.support.sentences import long_text
from tests.support.waiting import PATIENCE_S

SENTENCE = "The vendor may fail."


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A service with one thread."""
    settings = {"THREADS": "1", "AI_SERVICE_OPEN": "true", "CACHE_SENTENCES": "0"}
    with running_process(tmp_path_factory.mktemp("small"), **settings) as process:
        yield process


def scan(process, text):
    with httpx.Client(timeout=PATIENCE_S) as client:
        return client.post(f"{process.url}/scan", data={"text": text})


def test_requests_beyond_the_queue_are_rejected_while_the_others_are_answered(small):
    n_queued = WAITING_PER_THREAD
    with ThreadPoolExecutor(3 * n_queued + 1) as pool:
        busy = pool.submit(scan, small, long_text(6_000))
        small.wait_until_busy()
        others = [pool.submit(scan, small, SENTENCE) for _ in range(3 * n_queued)]
        rejected = [
            f for f in first_completed(others, 2 * n_queued) if f.result().status_code == 503
        ]
        assert not busy.done()
        assert HTTP.get(f"{small.url}/health/live").status_code == 200
        assert not busy.done()
        assert busy.result().status_code == 200
        answers = [f.result() for f in others]
    assert len(rejected) == 2 * n_queued
    assert sorted(a.status_code for a in answers) == [200] * n_queued + [503] * 2 * n_queued
    for answer in (f.result() for f in rejected):
        problem = answer.json()
        assert (problem["code"], problem["status"]) == ("overloaded", 503)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0
    assert scan(small, SENTENCE).status_code == 200


def first_completed(futures, n):
    """Wait for `n` of the futures; return those that are done."""
    done, rest = set(), set(futures)
    while len(done) < n:
        some, rest = wait(rest, timeout=PATIENCE_S, return_when="FIRST_COMPLETED")
        assert some, f"only {len(done)} of {n} were answered"
        done |= some
    return done
