"""Runs `python -m service worker` in a process of its own."""

import signal
import subprocess
import sys
import threading

import httpx

from tests.e2e.conftest import ROOT, environment
from tests.support.calls import HTTP
from tests.support.free_ports import free_port
from tests.support.waiting import PATIENCE_S, wait_until


class Worker:
    """A running worker; `lines` collects its output."""

    def __init__(self, folder, **settings):
        self.ops_port = free_port()
        environ = {**environment(folder), "OPS_PORT": str(self.ops_port), **settings}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "service", "worker"],
            cwd=ROOT,
            env={**environ, "PYTHONWARNINGS": "default"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        self.lines.extend(line.rstrip("\n") for line in self._process.stdout)

    def when_ready(self):
        wait_until(self._is_ready, lambda: "\n".join(self.lines))
        return self

    def _is_ready(self):
        assert self._process.poll() is None, "\n".join(self.lines)
        try:
            return HTTP.get(self.ops_url + "/health/ready").status_code == 200
        except httpx.HTTPError:
            return False

    @property
    def ops_url(self):
        return f"http://127.0.0.1:{self.ops_port}"

    def terminate(self):
        """Send SIGTERM and return the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_S)

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()
