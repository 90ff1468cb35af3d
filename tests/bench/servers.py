"""Servers to measure: ours as operators start it, and any other; each a process tree that can be paused."""

import contextlib
import http.client
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from tests.bench.options import ROOT

_PATIENCE_S = 180.0
_LOOK_S = 0.01


class Server:
    """A process that answers HTTP on a free port of this machine; its output goes to `log`."""

    def __init__(self, name, command, *, health, log, environ):
        """Start it; `{port}` in `command` and in the values of `environ` becomes the port."""
        self.name = name
        self.log = log
        self.ready_after_s = float("nan")
        self._health = health
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        inherited = {k: os.environ[k] for k in ("PATH", "HOME", "LANG") if k in os.environ}
        inherited["RISKSCAN_ENV_FILE"] = ""  # what is measured has no settings but those given here
        given = {k: str(v).format(port=self.port) for k, v in environ.items()}
        self._began_s = time.perf_counter()
        with log.open("wb") as output:
            self._process = psutil.Popen(
                [str(part).format(port=self.port) for part in command],
                cwd=ROOT,
                env=inherited | given,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def when_healthy(self):
        """Wait until it answers its health check; `ready_after_s` says how long that took."""
        while not self._is_healthy():
            if self._process.poll() is not None or self._age_s() > _PATIENCE_S:
                raise RuntimeError(f"{self.name} did not start; see {self.log}")
            time.sleep(_LOOK_S)
        self.ready_after_s = self._age_s()

    def _age_s(self):
        return time.perf_counter() - self._began_s

    def _is_healthy(self):
        # Not httpx: its 2 ms a look would slow what is measured.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        with contextlib.closing(connection):
            try:
                connection.request("GET", self._health)
                return connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False

    def cpu_s(self):
        """Return the processor seconds that its processes have used."""
        return sum(sum(p.cpu_times()[:2]) for p in self._tree())

    def resident_mb(self):
        """Return the resident memory of its processes; what they share counts once for each."""
        return sum(p.memory_info().rss for p in self._tree()) / 1e6

    def peak_mb(self):
        """Return the most resident memory that its first process ever had."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6

    def pause(self):
        """Stop its processes where they are, so that they cost nothing while others are measured."""
        for process in self._tree():
            process.suspend()

    def resume(self):
        """Let its processes go on."""
        for process in self._tree():
            process.resume()

    def stop(self):
        """End its processes."""
        tree = self._tree()
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
                process.terminate()
        _, left = psutil.wait_procs(tree, timeout=10)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=10)

    def _tree(self):
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@contextlib.contextmanager
def running(server):
    """Yield a healthy server, which ends with the block."""
    try:
        server.when_healthy()
        yield server
    finally:
        server.stop()


def riskscan(options, folder, *, database_url="", **settings):
    """Start the service as for production, open to services on /scan; its log and secrets are in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    environ = {
        "RISKSCAN_ENV": "production",
        "SECRET_KEY": secrets.token_hex(32),
        "JWT_SECRET": secrets.token_hex(32),
        "DATABASE_URL": database_url or f"sqlite:///{folder / 'riskscan.db'}",
        "DATA_DIR": folder,
        "PORT": "{port}",
        "AI_SERVICE_OPEN": "true",
        "REGISTRATION": "open",
        "LOGIN_RATE_LIMIT": "1000 per minute",  # of all the users that a benchmark registers
        **settings,
    }
    command = [options.service_python, "-m", "service"]
    log = folder / "service.log"
    return Server("riskscan", command, health="/health/ready", log=log, environ=environ)


def token(server):
    """Register a user of the service and return the header that authenticates them."""
    account = {"email": f"{secrets.token_hex(6)}@corp.local", "password": secrets.token_hex(16)}
    with httpx.Client(base_url=server.url, timeout=60) as client:
        client.post("/api/auth/register", json=account).raise_for_status()
        form = {"username": account["email"], "password": account["password"]}
        answer = client.post("/api/auth/login", data=form).raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def tokens(server, n):
    """Register n users and return the header that authenticates each."""
    return [token(server) for _ in range(n)]


def end_with_the_benchmark():
    """Have SIGTERM unwind this process, so that what it started ends with it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def free_port():
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
