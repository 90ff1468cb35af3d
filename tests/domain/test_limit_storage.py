"""Counting while Redis hangs, dies and returns: real servers, short time-outs."""

import socket
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from types import SimpleNamespace

import pytest

from service.domain.limit_storage import LimitStorage
from service.domain.rate_limits import RateLimit
from service.errors import RateLimited
from tests.support.redis_server import RedisServer
from tests.support.waiting import PATIENCE_S, wait_until

FOREVER_S = 1000.0
N_THREADS = 8
PROBE = b"?"  # no command of Redis begins like this
MESSAGES = [
    "RATE_LIMIT_STORAGE_URL is unavailable ({}); this process counts by itself",
    "RATE_LIMIT_STORAGE_URL is available again",
]


class HangingServer:
    """Accepts connections and never answers; counts those that brought a command. May refuse some before."""

    def __init__(self):
        self.n_to_refuse = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._n_calls = self._n_probes = 0
        self._open = ExitStack()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def n_calls(self):
        """The calls until now; the server takes connections in turn, so a probe comes after all of them."""
        n_before = self._n_probes
        with socket.create_connection(self._listener.getsockname()) as probe:
            probe.sendall(PROBE)
            wait_until(lambda: self._n_probes > n_before)
        return self._n_calls

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            if self.n_to_refuse:
                self.n_to_refuse -= 1
                connection.close()
                continue
            self._open.enter_context(connection)
            first = connection.recv(1)
            self._n_probes += first == PROBE
            self._n_calls += first not in {b"", PROBE}

    def close(self):
        with suppress(OSError):  # closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._open.close()


@pytest.fixture
def hanging():
    with closing(HangingServer()) as server:
        yield server


@pytest.fixture
def redis_server():
    server = RedisServer()
    yield server
    server.kill()


def limits(storage, n=3, rate="1000 per hour"):
    name = uuid.uuid4().hex
    return [RateLimit(rate, setting=f"{name}_{k}", storage=storage) for k in range(n)]


def spend_in_threads(several, n_threads=N_THREADS):
    """Spend each limit once in each of many threads at the same time."""
    together = threading.Barrier(n_threads)

    def spend(_):
        together.wait()
        for limit in several:
            limit.spend("ann")

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(spend, range(n_threads)))


def test_all_limits_of_a_request_wait_for_a_hanging_redis_once(hanging):
    several = limits(LimitStorage(hanging.url, timeout_s=0.2, pause_s=FOREVER_S))
    for limit in several:
        limit.spend("ann")
    assert hanging.n_calls == 1
    assert [limit.quota("ann").remaining for limit in several] == [999] * 3


def test_requests_of_one_moment_wait_once_each_and_later_ones_not_at_all(hanging):
    several = limits(LimitStorage(hanging.url, timeout_s=0.5, pause_s=FOREVER_S))
    spend_in_threads(several)
    n_first = hanging.n_calls
    assert 1 <= n_first <= N_THREADS  # not N_THREADS * 3
    spend_in_threads(several)
    assert hanging.n_calls == n_first
    assert several[0].quota("ann").remaining == 1000 - 2 * N_THREADS


def test_one_thread_tries_again_and_the_others_do_not_wait(hanging, monkeypatch):
    clock = SimpleNamespace(monotonic=lambda: 0.0)
    monkeypatch.setattr("service.domain.redis_outage.time", clock)
    storage = LimitStorage(hanging.url, timeout_s=PATIENCE_S, pause_s=1.5)
    [limit] = limits(storage, 1)
    hanging.n_to_refuse = 10  # the outage begins without a wait
    limit.spend("ann")
    hanging.n_to_refuse = 0
    clock.monotonic = lambda: 1.5
    threads = [threading.Thread(target=limit.spend, args=("ann",)) for _ in range(N_THREADS)]
    for thread in threads:
        thread.start()
    wait_until(lambda: hanging.n_calls and sum(t.is_alive() for t in threads) == 1)
    assert hanging.n_calls == 1
    hanging.close()
    for thread in threads:
        thread.join()
    assert limit.quota("ann").remaining == 1000 - 1 - N_THREADS


def test_counting_goes_on_while_redis_is_dead_and_returns_to_it(redis_server, caplog):
    storage = LimitStorage(
        redis_server.url, timeout_s=60, pause_s=0.05
    )  # a dead one refuses at once
    [limit] = limits(storage, 1, "3 per hour")
    limit.spend("ann")
    redis_server.kill()
    for _ in range(3):  # this process's own count
        limit.spend("ann")
    with pytest.raises(RateLimited):
        limit.spend("ann")
    redis_server.start()
    wait_until(lambda: limit.quota("bob") is not None and "available again" in caplog.text)
    limit.spend("ann")  # Redis has lost the count with its memory
    assert limit.quota("ann").remaining == 2
    assert [record.getMessage() for record in caplog.records] == [
        MESSAGES[0].format("ConnectionError"),
        MESSAGES[1],
    ]


def test_frozen_redis_is_left_at_once_and_used_again(redis_server):
    storage = LimitStorage(redis_server.url, timeout_s=3, pause_s=0.1)
    [limit] = limits(storage, 1)
    limit.spend("ann")
    redis_server.freeze()
    limit.spend("ann")
    assert limit.quota("ann").remaining == 999  # this process's own count
    redis_server.thaw()
    wait_until(lambda: limit.quota("ann").remaining < 999)
