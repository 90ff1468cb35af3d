"""Workers in processes of their own: woken by a broker or polling, killed, terminated, without a broker."""

import subprocess
import sys

import pytest

from tests.api.batching import BATCHES, counts, get, sent, texts, when
from tests.e2e.conftest import ROOT, Process
from tests.e2e.crashes import KEYS
from tests.e2e.test_start_and_stop import log_in
from tests.e2e.workers import Worker
from tests.support.calls import HTTP, caller
from tests.support.rabbitmq import RabbitMq
from tests.support.redis_server import RedisServer
from tests.support.waiting import PATIENCE_S, wait_until

SETTINGS = {**KEYS, "LOG_LEVEL": "INFO", "BATCH_LEASE_S": "3", "BATCH_WORKERS": "0"}


class User:
    """An account of the service, as the helpers of batches use it."""

    def __init__(self, service):
        self.http = caller(service.url)
        self.http.headers.update(log_in(service.url))


@pytest.fixture
def world(tmp_path):
    """Start a service that scans nothing itself, workers beside it, and an account."""
    started, clients = [], []

    def begin(**settings):
        service = Process(tmp_path / "data", **{**SETTINGS, **settings}).when_ready()
        started.append(service)
        clients.append(User(service))
        return clients[-1]

    def add_worker(**settings):
        started.append(Worker(tmp_path / "data", **{**SETTINGS, **settings}))
        return started[-1].when_ready()

    yield begin, add_worker
    for client in clients:
        client.http.close()
    for process in reversed(started):
        process.kill()


def test_worker_without_a_broker_polls_and_serves_its_metrics(world):
    begin, add_worker = world
    user = begin()
    batch = sent(user, texts(20))
    assert counts(get(user, batch)) == {"waiting": 20}
    worker = add_worker()
    assert counts(when(user, batch)) == {"done": 20}
    metrics = HTTP.get(worker.ops_url + "/metrics").text
    assert "riskscan_batch_items" in metrics
    assert worker.terminate() == 0


def test_killed_worker_is_replaced_and_each_document_is_done_once(world):
    begin, add_worker = world
    user = begin()
    batch, first = sent(user, texts(60)), add_worker()
    wait_until(lambda: get(user, batch)["n_done"] >= 3)
    first.kill()
    killed = get(user, batch)
    assert killed["n_done"] < 60
    add_worker()
    assert counts(when(user, batch)) == {"done": 60}
    assert user.http.get("/api/v1/scans?per_page=1").json()["total"] == 60


def test_terminated_worker_gives_its_document_back_at_once(world):
    begin, add_worker = world
    user = begin()
    worker = add_worker(BATCH_LEASE_S="600")
    long = "The vendor may fail to deliver part {}. The budget is tight in year {}. "
    text = "".join(long.format(n, n) for n in range(20_000))
    batch = sent(user, [("file", ("long.txt", text.encode()))])
    wait_until(lambda: get(user, batch)["n_running"] == 1)
    assert worker.terminate() == 0
    assert counts(get(user, batch)) == {"waiting": 1}
    [item] = user.http.get(f"{batch}/items").json()["items"]
    assert item["attempts"] == 0


def test_signal_that_comes_before_the_broker_listens_ends_the_worker(redis_url):
    early = "import threading; from service.jobs.broker import serve_messages as serve; "
    early += "stopped = threading.Event(); stopped.set(); "
    early += f"serve({redis_url!r}, None, stopped=stopped)"
    subprocess.run([sys.executable, "-c", early], cwd=ROOT, check=True, timeout=PATIENCE_S)


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=pytest.mark.slow)])
def broker(request, tmp_path):
    """A broker of this test's own."""
    if request.param == "redis":
        server = RedisServer()
        yield server
        server.kill()
    else:
        server = RabbitMq(tmp_path / "rabbitmq")
        yield server
        server.close()


def test_service_answers_without_its_broker_and_documents_are_done_once_it_is_back(world, broker):
    begin, add_worker = world
    user = begin(BROKER_URL=broker.url)
    worker = add_worker(BROKER_URL=broker.url)
    assert counts(when(user, sent(user, texts(5)))) == {"done": 5}
    broker.kill()
    batch = sent(user, texts(5, "The vendor may fail."))
    assert user.http.get(BATCHES).status_code == 200
    broker.start()
    assert counts(when(user, batch)) == {"done": 5}
    assert worker.terminate() == 0
