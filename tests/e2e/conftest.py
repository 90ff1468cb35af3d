"""Runs `python -m service` in a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.calls import HTTP
from tests.support.free_ports import free_port
from tests.support.waiting import PATIENCE_S, wait_until

ROOT = Path(__file__).resolve().parents[2]


def environment(data_dir):
    """Return the variables of a service's process; it has no torch, as on a CPU in production."""
    environ = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG"}}
    environ |= {"DATA_DIR": str(data_dir), "RISKSCAN_ENV_FILE": "", "PYTHONWARNINGS": "error"}
    return environ | {"PYTHONPATH": str(ROOT / "tests/support/serving_environment")}


class Process:
    """A running service, if needed of other code, on a given port or with a ulimit; `lines` is its output."""

    def __init__(self, folder, *, code=ROOT, port=None, ulimit=None, **settings):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environ = {**environment(folder), "PORT": str(self.port)}
        limited = ["sh", "-c", f'ulimit {ulimit}; exec "$@"', "sh"] if ulimit else []
        self._process = subprocess.Popen(
            [*limited, sys.executable, "-m", "service"],
            cwd=code,
            env={**environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def pid(self):
        return self._process.pid

    def send_signal(self, number):
        self._process.send_signal(number)

    def _read(self):
        self.lines.extend(line.rstrip("\n") for line in self._process.stdout)

    def when_ready(self):
        self.wait_until("/health/ready", 200)
        wait_until(lambda: any(line.startswith("Riskscan serves on") for line in self.lines))
        return self

    def wait_until(self, path, status):
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                answer = HTTP.get(self.url + path)
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code == status:
                return answer
            time.sleep(0.1)
        raise AssertionError("\n".join(self.lines) or "the service did not answer")

    def wait_until_busy(self, cpu_s=0.3):
        """Return once the process has used `cpu_s` more processor time, as only a scan makes it do."""
        process = psutil.Process(self._process.pid)
        busy_s = process.cpu_times().user + cpu_s
        while process.cpu_times().user < busy_s:
            time.sleep(0.01)

    def child(self, module):
        """Return the service's child process that runs `module`, or None."""
        children = psutil.Process(self._process.pid).children()
        running = [c for c in children if c.status() != psutil.STATUS_ZOMBIE]
        return next((c for c in running if any(module in word for word in c.cmdline())), None)

    def when_child(self, module):
        """Wait for the child process that runs `module`, and return it."""
        wait_until(lambda: self.child(module) is not None)
        return self.child(module)

    def n_clients(self):
        """Count the open connections to the service's port, including those whose client has gone."""
        connections = psutil.Process(self._process.pid).net_connections("tcp")
        return sum(
            c.laddr.port == self.port and c.status != psutil.CONN_LISTEN for c in connections
        )

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def exit_status(self):
        status = self._process.wait(PATIENCE_S)
        self._reader.join()
        return status

    def kill(self):
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()


@contextlib.contextmanager
def running_process(folder, **settings):
    """Yield a service that is ready, for the tests of a module to share; it ends with the block."""
    process = Process(folder / "data", **settings)
    try:
        yield process.when_ready()
    finally:
        process.kill()


@pytest.fixture
def start(tmp_path):
    """Start service processes, which end with the test."""
    started = []

    def start_process(*, ready=True, ulimit=None, **settings):
        process = Process(tmp_path / "data", ulimit=ulimit, **settings)
        started.append(process)
        return process.when_ready() if ready else process

    yield start_process
    for process in started:
        process.kill()


@pytest.fixture
def riskscan(tmp_path):
    """Run `python -m service` with arguments; its database lies in tmp_path."""
    environ = {**environment(tmp_path / "data"), "COLUMNS": "200"}

    def run(*arguments, stdin="", **settings):
        return subprocess.run(
            [sys.executable, "-m", "service", *map(str, arguments)],
            cwd=ROOT,
            env={**environ, **settings},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
