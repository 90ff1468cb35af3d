"""Servers to measure, ours and its peers: each a process tree that can be paused."""

import contextlib
import http.client
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from tests.bench.options import ROOT
from tests.support.free_ports import free_port

_PATIENCE_S = 180.0
_POLL_S = 0.01


class Server:
    """An HTTP server process on a free port of this machine; its output goes to `log`."""

    def __init__(self, name, command, *, health, log, environ):
        """Start it; `{port}` in `command` and in the values of `environ` becomes the port."""
        self.name = name
        self.log = log
        self.ready_after_s = float("nan")
        self._health = health
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        inherited = {k: os.environ[k] for k in ("PATH", "HOME", "LANG") if k in os.environ}
        inherited["RISKSCAN_ENV_FILE"] = ""  # no settings but those in `environ`
        own = {k: str(v).format(port=self.port) for k, v in environ.items()}
        self._began_s = time.perf_counter()
        with log.open("wb") as output:
            self._process = psutil.Popen(
                [str(part).format(port=self.port) for part in command],
                cwd=ROOT,
                env=inherited | own,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_healthy(self):
        """Wait until the health check answers 200; `ready_after_s` is the time since the start."""
        while not self._is_healthy():
            if self._process.poll() is not None or self._age_s() > _PATIENCE_S:
                raise RuntimeError(f"{self.name} did not start; see {self.log}")
            time.sleep(_POLL_S)
        self.ready_after_s = self._age_s()

    def _age_s(self):
        return time.perf_counter() - self._began_s

    def _is_healthy(self):
        # Not httpx: 2 ms of processor time for each poll would slow the server under test.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        with contextlib.closing(connection):
            try:
                connection.request("GET", self._health)
                return connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                return False

    def cpu_s(self):
        """Return the processor seconds used by all processes of the tree."""
        return sum(sum(p.cpu_times()[:2]) for p in self._tree())

    def resident_mb(self):
        """Return the resident memory of the tree; memory shared by processes counts once for each."""
        return sum(p.memory_info().rss for p in self._tree()) / 1e6

    def proportional_mb(self):
        """Return the memory of the tree (PSS): what processes share is divided among them."""
        return sum(p.memory_full_info().pss for p in self._tree()) / 1e6

    def peak_mb(self):
        """Return the peak resident memory of the first process."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6

    def begin_peak(self):
        """Let `peak_mb` begin anew, from what is resident now."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5", encoding="ascii")

    def pause(self):
        """Suspend the processes, so that they use no processor time while others are measured."""
        for process in self._tree():
            process.suspend()

    def resume(self):
        """Resume the processes."""
        for process in self._tree():
            process.resume()

    def stop(self):
        """End the processes."""
        tree = self._tree()
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
                process.terminate()
        _, alive = psutil.wait_procs(tree, timeout=10)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=10)

    def _tree(self):
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


@contextlib.contextmanager
def running(server):
    """Yield the server once it is healthy; stop it at the end of the block."""
    try:
        server.wait_until_healthy()
        yield server
    finally:
        server.stop()


def riskscan(options, folder, *, database_url="", **settings):
    """Start the service in production mode with an open POST /scan; its data and log are in `folder`."""
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
        "LOGIN_RATE_LIMIT": "1000 per minute",  # for all users that a benchmark registers
        **settings,
    }
    command = [options.service_python, "-m", "service"]
    log = folder / "service.log"
    return Server("riskscan", command, health="/health/ready", log=log, environ=environ)


def token(server):
    """Register a user; return the header that authenticates them."""
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
    """Exit normally on SIGTERM, so that the servers started here end too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
