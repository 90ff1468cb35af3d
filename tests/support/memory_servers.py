"""Servers of MariaDB and PostgreSQL for one test process, with their data in memory.

They do not wait for a disk, and keep nothing if the machine stops. Tests of crashes start servers of
their own, on the disk.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import psycopg

from tests.support.free_ports import free_port
from tests.support.mariadb import MariaDb
from tests.support.waiting import wait_until

MEMORY = Path("/dev/shm")
NEEDED_BYTES = 2**30
_PREFIX = "riskscan-test-"
_ENDS_WITH_US = ["setpriv", "--pdeathsig", "KILL"]  # even if this process is killed
_running = ExitStack()


def start_in_memory(backend):
    """Start a server that runs until `stop_all`, and return its URL; None if it is not installed here."""
    if (
        not shutil.which("setpriv")
        or not MEMORY.is_dir()
        or shutil.disk_usage(MEMORY).free < NEEDED_BYTES
    ):
        return None
    start = {"mysql": _start_mariadb, "postgresql": _start_postgresql}[backend]
    return start()


def stop_all():
    """Stop the servers and remove their data."""
    _running.close()


class _MariaDb(MariaDb):
    def start(self):
        self._command = [*_ENDS_WITH_US, *self._command]
        super().start()


def _start_mariadb():
    if shutil.which("mariadbd") is None:
        return None
    options = ["--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite"]
    options += ["--innodb-log-file-size=32M", "--innodb-buffer-pool-size=64M"]
    # Debian's own settings of MariaDB.
    options += ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"]
    server = _MariaDb(_folder(), *options)
    _running.callback(server.kill)
    return server.url.removesuffix("/riskscan")


def _start_postgresql():
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name)
    )
    if not installed:
        return None
    programs, data = installed[-1], _folder() / "data"
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    shutil.chown(data.parent, user)
    run = {"user": user, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    initialize = [programs / "initdb", f"--pgdata={data}", "--username=postgres", "--auth=trust"]
    initialize += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    subprocess.run(initialize, check=True, **run)
    port = free_port()
    settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    settings |= {"dynamic_shared_memory_type": "mmap"}
    settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    options = [f"--{name}={value}" for name, value in settings.items()]
    command = [*_ENDS_WITH_US, programs / "postgres", "-D", data, *options]
    server = subprocess.Popen(command, **run)
    _running.callback(_stop, server)
    address = f"postgres@127.0.0.1:{port}/postgres"
    wait_until(lambda: _answers(f"postgresql://{address}"))
    return f"postgresql+psycopg://{address}"


def _folder():
    """Return a new folder in memory, after removing those of processes that were killed."""
    for left in MEMORY.glob(f"{_PREFIX}*-*"):
        if not psutil.pid_exists(int(left.name.removeprefix(_PREFIX).partition("-")[0])):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=MEMORY))
    _running.callback(shutil.rmtree, folder)
    return folder


def _stop(server):
    server.send_signal(signal.SIGINT)
    server.wait()


def _answers(url):
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        time.sleep(0.05)
        return False
    return True
