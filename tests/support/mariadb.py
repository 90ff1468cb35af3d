"""A MariaDB server of a test's own, which may be killed, frozen and restarted without harm to others."""

import getpass
import shutil
import signal
import subprocess
import time

import pymysql
import pytest

from tests.support.free_ports import free_port
from tests.support.waiting import wait_until

START_S = 60


class MariaDb:
    """A server with its data in `folder`, as MariaDB configures itself: durable at each commit."""

    def __init__(self, folder, *options):
        if shutil.which("mariadbd") is None:
            pytest.skip("mariadbd is not installed")
        self.port = free_port()
        self.url = f"mysql+pymysql://root@127.0.0.1:{self.port}/riskscan"
        self._folder = folder
        self._data = folder / "data"
        self._process = None
        own = [f"--datadir={self._data}", f"--user={getpass.getuser()}"]
        install = ["mariadb-install-db", "--no-defaults", "--skip-test-db", *own]
        install += ["--auth-root-authentication-method=normal"]
        subprocess.run(install, check=True, capture_output=True)
        self._command = ["mariadbd", "--no-defaults", *own, f"--port={self.port}"]
        self._command += ["--bind-address=127.0.0.1", f"--socket={folder / 'socket'}"]
        # A server that starts deletes the temporary tables in its folder, those of other servers too.
        temporary = folder / "tmp"
        temporary.mkdir(exist_ok=True)
        self._command += [f"--tmpdir={temporary}"]
        self._command += options
        self.start()
        with self.connect() as connection:
            connection.cursor().execute("CREATE DATABASE riskscan")

    def connect(self, **options):
        """Return a connection that commits each statement."""
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", autocommit=True, **options
        )

    def start(self):
        """Start the server and return once it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait_until(self._answers, lambda: (self._folder / "log").read_text()[-2000:])

    def kill(self):
        """End the server as a power failure would, and reap it."""
        self._process.kill()
        self._process.wait()

    def freeze(self):
        """Stop all of its threads; the system goes on accepting connections for it."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def _answers(self):
        try:
            self.connect().close()
        except pymysql.err.OperationalError:
            time.sleep(0.05)
            return False
        return True
