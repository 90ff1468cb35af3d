"""Replicas of the service on one database behind nginx, and clients that use them all the time."""

import secrets
import threading
import time

import httpx

from tests.e2e.conftest import ROOT, Process
from tests.e2e.crashes import KEYS
from tests.e2e.nginx import Nginx
from tests.support.free_ports import free_port
from tests.support.waiting import wait_until

FAIL_TIMEOUT_S = 2.0
"""For so long nginx sends nothing to a replica that has refused a connection."""
SETTINGS = {
    **KEYS,
    "TRUSTED_PROXY": "127.0.0.1",
    "LOGIN_RATE_LIMIT": "",
    "INFERENCE_THREADS": "1",
    "DRAIN_TIMEOUT_S": "120",
}


class Replicas:
    """Services that share a database and DATA_DIR, behind one nginx. Use as a context manager."""

    def __init__(self, folder, n, *, code=ROOT, **settings):
        self._folder = folder
        self.settings = {**SETTINGS, "DATA_DIR": str(folder / "data"), **settings}
        self.ports = [free_port() for _ in range(n)]
        self.processes = {}
        self._ended = []
        self.nginx = None
        self._code = code

    def __enter__(self):
        try:
            for port in self.ports:
                self.start(port, code=self._code)
            self.nginx = Nginx(self._folder, *self.ports, port=free_port()).when_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in [*self.processes.values(), *self._ended]:
            process.kill()
        if self.nginx:
            self.nginx.stop()

    def start(self, port, *, code=ROOT):
        """Start a replica and return once it is ready."""
        process = Process(self._folder / "data", code=code, port=port, **self.settings)
        self.processes[port] = process
        process.when_ready()

    def stop(self, port):
        """Drain a replica by SIGTERM; return its output once it has ended."""
        process = self.processes.pop(port)
        self._ended.append(process)
        process.terminate()
        assert process.exit_status() == 0
        return process.lines

    def replace(self, port):
        """Stop a replica, start the code under test in its place, and return the old one's output."""
        lines = self.stop(port)
        self.start(port)
        time.sleep(FAIL_TIMEOUT_S + 0.5)
        return lines


class Load:
    """Clients that log in, scan, read and review through nginx until the block ends."""

    def __init__(self, nginx, *, n_clients):
        self._nginx = nginx
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(n_clients)]
        self.n_answers = 0
        self.failures = []
        self._lock = threading.Lock()

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, n_answers):
        """Return once there are so many more answers."""
        enough = self.n_answers + n_answers
        wait_until(lambda: self.n_answers >= enough or self.failures)

    def _run(self):
        with self._nginx.caller() as http:
            account = {"email": f"{secrets.token_hex(8)}@corp.local", "password": "long enough"}
            self._call(http, "POST", "/api/auth/register", json=account)
            while not self._over.is_set():
                self._work(http, account)

    def _work(self, http, account):
        form = {"username": account["email"], "password": account["password"]}
        token = self._call(http, "POST", "/api/auth/login", data=form).get("access_token")
        http.headers["Authorization"] = f"Bearer {token}"
        for _ in range(20):
            if self._over.is_set():
                return
            text = f"The budget {secrets.token_hex(4)} is tight. The vendor may fail to deliver."
            scan = self._call(http, "POST", "/api/scan", json={"text": text}).get("scan_id")
            self._call(http, "GET", f"/api/v1/scans/{scan}/findings")
            verdict = {"verdict": "confirmed"}
            self._call(http, "PUT", f"/api/v1/scans/{scan}/findings/1/feedback", json=verdict)
            self._call(http, "GET", "/api/scans")

    def _call(self, http, method, path, **options):
        """Return the answer's JSON; {} for a request that failed, which is noted."""
        try:
            answer = http.request(method, path, **options)
        except httpx.TransportError as error:
            self._fail(f"{method} {path}: {error!r}")
            return {}
        with self._lock:
            self.n_answers += 1
        if answer.status_code >= 400:
            self._fail(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
            return {}
        return answer.json()

    def _fail(self, message):
        with self._lock:
            self.failures.append(message)
