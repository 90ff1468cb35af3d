"""WEB_PROCESSES: several processes behind one port, as clients and operators see them."""

import concurrent.futures
import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.nlp.cpu_quota import cpu_quota
from tests.e2e.conftest import ROOT, environment, running_process
from tests.e2e.test_sidecar import n_scans, ops_url, wait_for
from tests.support.calls import HTTP, caller
from tests.support.free_ports import free_port
from tests.support.sentences import FLOW_TEXT, long_text
from tests.support.waiting import PATIENCE_S, wait_until

TWO = {"WEB_PROCESSES": "2", "AI_SERVICE_OPEN": "true", "INFERENCE_THREADS": "2"}
MODULE = "web-process"
needs_own_cpus = pytest.mark.skipif(
    cpu_quota() < len(os.sched_getaffinity(0)) or cpu_quota() == 1,
    reason="a quota allows fewer CPUs than there are, or there is one",
)
UNAUTHENTICATED = r'riskscan_http_problems_total\{code="unauthenticated"\}'


def web_processes(process):
    children = psutil.Process(process.pid).children()
    return [c for c in children if MODULE in c.cmdline()]


def connections(process, port):
    found = process.net_connections("tcp")
    return sum(c.laddr.port == port and c.status == psutil.CONN_ESTABLISHED for c in found)


def wait_until_all_ready(ops_port, n=2):
    wait_until(lambda: f"{n} of {n}" in wait_for(ops_port, "/health/ready").text)


def figure(ops_port, name):
    text = wait_for(ops_port, "/metrics").text
    return float(re.search(rf"^{name} (\S+)$", text, re.MULTILINE)[1])


@pytest.fixture(scope="module")
def ops_port():
    return free_port()


@pytest.fixture(scope="module")
def running(tmp_path_factory, ops_port):
    settings = {**TWO, "OPS_PORT": str(ops_port)}
    with running_process(tmp_path_factory.mktemp("two"), **settings) as process:
        wait_until_all_ready(ops_port)
        yield process


@pytest.mark.skipif(cpu_quota() == 1, reason="on one CPU the first process gets connections first")
def test_two_processes_share_the_connections_of_one_port(running):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(caller(running.url)) for _ in range(8)]
        for client in clients:
            assert client.post("/scan", json={"text": FLOW_TEXT}).status_code == 200
        counts = [connections(child, running.port) for child in web_processes(running)]
    assert sum(counts) == 8
    assert min(counts) >= 3


@needs_own_cpus
def test_each_process_stays_on_cpus_of_its_own(running):
    first, second = (set(child.cpu_affinity()) for child in web_processes(running))
    assert len(first) == len(second) == 1
    assert first | second <= os.sched_getaffinity(0)
    assert first != second


@needs_own_cpus
@pytest.mark.parametrize(("setting", "is_python_on_one"), [("true", True), ("false", False)])
def test_python_of_one_process_stays_on_one_cpu(start, setting, is_python_on_one):
    process = start(PIN_PROCESSES=setting)
    cpus = os.sched_getaffinity(process.pid)
    assert len(cpus) == 1 if is_python_on_one else cpus == os.sched_getaffinity(0)


def test_start_prints_one_address_and_warns_of_limits(running):
    assert len([line for line in running.lines if line.startswith("Riskscan serves on")]) == 1
    assert f"Riskscan serves on http://localhost:{running.port}" in running.lines
    [warning] = [line for line in running.lines if '"level": "WARNING"' in line]
    assert "REDIS_URL" in warning


def test_metrics_of_the_ops_port_are_those_of_all_processes(running, ops_port):
    with caller(running.url) as first, caller(running.url) as second:
        for client in (first, second, first, second, second):
            assert client.get("/api/scans").status_code == 401
    wait_until(lambda: figure(ops_port, UNAUTHENTICATED) == 5)
    families = text_string_to_metric_families(wait_for(ops_port, "/metrics").text)
    series = [(s.name, *sorted(s.labels.items())) for family in families for s in family.samples]
    assert len(series) == len(set(series))


def test_stopped_and_continued_service_goes_on(running, ops_port):
    processes = [psutil.Process(running.pid), *psutil.Process(running.pid).children()]
    for act in (psutil.Process.suspend, psutil.Process.resume):
        for process in processes:
            act(process)
        time.sleep(0.3)  # longer than the supervisor's loop waits
    wait_until_all_ready(ops_port)
    assert HTTP.post(f"{running.url}/scan", json={"text": FLOW_TEXT}).status_code == 200
    assert not any("draining" in line for line in running.lines)


def test_killed_process_loses_its_requests_only_and_comes_back(running, ops_port):
    scans, restarts = n_scans(ops_port), figure(ops_port, "riskscan_web_process_restarts_total")
    victim, other = web_processes(running)
    statuses, failures, over = [], [], threading.Event()

    def scan_again_and_again():
        while not over.is_set():
            try:
                answer = HTTP.post(f"{running.url}/scan", json={"text": FLOW_TEXT})
                statuses.append(answer.status_code)
            except httpx.TransportError as error:
                failures.append(error)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(scan_again_and_again)
        wait_until(lambda: len(statuses) >= 20)
        victim.kill()
        wait_until(lambda: figure(ops_port, "riskscan_web_process_restarts_total") == restarts + 1)
        wait_until_all_ready(ops_port)
        over.set()
    assert len(failures) <= 4
    assert set(statuses) == {200}
    # The last two seconds of the killed process may be missing; what was shown before is not.
    assert n_scans(ops_port) >= scans
    assert other in web_processes(running)
    assert any("died (exit status -9); restarting it" in line for line in running.lines)


def test_sigterm_lets_requests_in_all_processes_finish(start):
    process = start(**TWO, DRAIN_TIMEOUT_S=str(PATIENCE_S))
    process.wait_until("/health/ready", 200)
    wait_until(lambda: "2 of 2" in HTTP.get(f"{process.url}/health/ready").text)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        texts = [long_text(600 + n) for n in range(4)]
        scans = [pool.submit(HTTP.post, f"{process.url}/scan", json={"text": t}) for t in texts]
        children = web_processes(process)
        wait_until(lambda: all(connections(child, process.port) for child in children))
        process.terminate()
        assert [scan.result().status_code for scan in scans] == [200] * 4
    assert process.exit_status() == 0
    assert not any(child.is_running() for child in children)


def test_metrics_on_the_main_port_are_those_of_all_processes(start):
    process = start(**TWO)
    wait_until(lambda: "2 of 2" in HTTP.get(f"{process.url}/health/ready").text)
    for _ in range(6):
        HTTP.post(f"{process.url}/scan", json={"text": FLOW_TEXT}).raise_for_status()
    shown = r'^riskscan_scans_total{source="model"} 6.0$'
    for _ in range(4):  # by whichever process
        wait_until(lambda: re.search(shown, HTTP.get(f"{process.url}/metrics").text, re.MULTILINE))


def test_faulty_model_ends_the_start_with_one_message(start, tmp_path):
    process = start(ready=False, **TWO, MODEL_DIR=str(tmp_path / "none"))
    assert process.exit_status() == 1
    assert len([line for line in process.lines if line.startswith("riskscan: ")]) == 1
    assert not any("Traceback" in line for line in process.lines)


def test_port_in_use_ends_the_start_with_a_remedy(start, running):
    second = start(ready=False, **TWO, PORT=str(running.port))
    assert second.exit_status() == 1
    [line] = [line for line in second.lines if line.startswith("riskscan: ")]
    assert "cannot listen" in line


def test_death_of_the_supervisor_ends_all_processes(start):
    process = start(**TWO, OPS_PORT=str(free_port()))
    wait_until(lambda: len(web_processes(process)) == 2)
    children = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=PATIENCE_S)
    assert alive == []


@pytest.mark.slow
def test_ctrl_c_ends_all_processes(tmp_path):
    port = str(free_port())
    environ = {**environment(tmp_path / "data"), **TWO, "PORT": port}
    with subprocess.Popen(
        [sys.executable, "-m", "service"],
        cwd=ROOT,
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        wait_until(lambda: len(web_processes(process)) == 2)
        children = psutil.Process(process.pid).children()
        psutil.Process(process.pid).send_signal(signal.SIGINT)  # its session has no terminal
        _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert not any(child.is_running() for child in children)


def test_ops_port_of_two_processes_serves_health_only(running, ops_port):
    assert wait_for(ops_port, "/health").json()["status"] == "ok"
    assert HTTP.get(ops_url(ops_port, "/api/scans")).status_code == 404
    assert HTTP.get(f"{running.url}/metrics").json()["code"] == "not_found"
