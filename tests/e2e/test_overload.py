"""More than the service can take: refused at once, in words, while what was taken is finished.

What comes over new connections is refused by a process beside the service, whatever the service does.
"""

import re
import signal
from concurrent.futures import ThreadPoolExecutor, wait

import httpx
import psutil
import pytest

from service.server.admission import WAITING_PER_THREAD
from tests.e2e.conftest import Process
from tests.support.calls import HTTP
from tests.support.sentences import long_text
from tests.support.waiting import PATIENCE_S, wait_until

SENTENCE = "The vendor may fail."


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A service with one thread."""
    folder = tmp_path_factory.mktemp("small") / "data"
    process = Process(folder, THREADS="1", AI_SERVICE_OPEN="true", CACHE_SENTENCES="0")
    try:
        yield process.when_ready()
    finally:
        process.kill()


def scan(process, text):
    with httpx.Client(timeout=PATIENCE_S) as client:
        return client.post(f"{process.url}/scan", data={"text": text})


def n_refused(process):
    text = HTTP.get(f"{process.url}/metrics").text
    found = re.search(r'^riskscan_http_problems_total{code="overloaded"} (\S+)', text, re.MULTILINE)
    return float(found[1])


def test_beyond_the_queue_requests_are_refused_at_once_and_the_others_answered(small):
    n_waiting = WAITING_PER_THREAD
    with ThreadPoolExecutor(3 * n_waiting + 1) as pool:
        busy = pool.submit(scan, small, long_text(6_000))
        small.wait_until_it_works_on_something()
        others = [pool.submit(scan, small, SENTENCE) for _ in range(3 * n_waiting)]
        refused = [f for f in first_of(others, 2 * n_waiting) if f.result().status_code == 503]
        assert not busy.done()
        assert HTTP.get(f"{small.url}/health/live").status_code == 200
        assert not busy.done()
        assert busy.result().status_code == 200
        answers = [f.result() for f in others]
    assert len(refused) == 2 * n_waiting
    assert sorted(a.status_code for a in answers) == [200] * n_waiting + [503] * 2 * n_waiting
    for answer in (f.result() for f in refused):
        problem = answer.json()
        assert (problem["code"], problem["status"]) == ("overloaded", 503)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert int(answer.headers["Retry-After"]) > 0
    assert scan(small, SENTENCE).status_code == 200


@pytest.fixture
def crowded(small):
    """The service with all that it takes waiting, for the seconds that its thread reads a long text."""
    small.when_child("shedding_process")
    with ThreadPoolExecutor(2 + WAITING_PER_THREAD) as pool:
        busy = pool.submit(scan, small, long_text(6_000))
        small.wait_until_it_works_on_something()
        others = [pool.submit(scan, small, SENTENCE) for _ in range(1 + WAITING_PER_THREAD)]
        done, waiting = wait(others, timeout=PATIENCE_S, return_when="FIRST_COMPLETED")
        assert [f.result().status_code for f in done] == [503]
        yield small
        assert not busy.done()
        assert {f.result().status_code for f in (busy, *waiting)} == {200}


def test_refusals_need_nothing_of_the_service(crowded):
    before = n_refused(crowded)
    service = psutil.Process(crowded.pid)
    service.suspend()
    try:
        answers = [scan(crowded, SENTENCE) for _ in range(50)]
    finally:
        service.resume()
    assert {a.status_code for a in answers} == {503}
    assert {a.json()["code"] for a in answers} == {"overloaded"}
    wait_until(lambda: n_refused(crowded) >= before + 50)


def test_long_document_is_refused_in_words_too(crowded):
    answer = scan(crowded, long_text(20_000))
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")


def test_health_is_answered_by_the_service_meanwhile(crowded):
    for path in ("/health", "/health/live", "/health/ready"):
        assert HTTP.get(crowded.url + path).status_code == 200
    assert HTTP.get(f"{crowded.url}/healthzzz").status_code == 503


def test_scans_are_taken_again_when_there_is_room(small):
    assert scan(small, SENTENCE).status_code == 200


def test_shedding_process_sees_no_setting_of_the_service(small):
    assert small.when_child("shedding_process").environ() == {}


def test_shedding_process_that_dies_is_started_again(small, crowded):
    first = small.when_child("shedding_process")
    first.kill()
    first.wait(PATIENCE_S)
    assert scan(crowded, SENTENCE).status_code == 503
    assert small.when_child("shedding_process").pid != first.pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_shedding_process_ends_with_the_service(start, number):
    process = start()
    child = process.when_child("shedding_process")
    process.send_signal(number)
    child.wait(PATIENCE_S)


def first_of(futures, n):
    """Return the first `n` that are done."""
    done, rest = set(), set(futures)
    while len(done) < n:
        some, rest = wait(rest, timeout=PATIENCE_S, return_when="FIRST_COMPLETED")
        assert some, f"only {len(done)} of {n} were answered"
        done |= some
    return done
