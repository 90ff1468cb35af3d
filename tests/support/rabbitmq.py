"""A RabbitMQ server of a test's own, which may be killed and restarted without harm to others."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.free_ports import free_port
from tests.support.waiting import wait_until

_SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitMq:
    """A server with its data in `folder`."""

    def __init__(self, folder):
        if not _SERVER.exists() or shutil.which("epmd") is None:
            pytest.skip("rabbitmq-server is not installed")
        port, names_port, peers_port = (free_port() for _ in range(3))
        self.port = port
        self.url = f"amqp://guest:guest@127.0.0.1:{port}//"
        self._folder = folder
        folder.mkdir()
        self._environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(names_port),
            "RABBITMQ_NODENAME": f"riskscan{port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(port),
            "RABBITMQ_DIST_PORT": str(peers_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        }
        self._process = None
        self.start()

    def start(self):
        """Start the server and return once it takes connections."""
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [_SERVER], env=self._environ, stdout=output, stderr=output, process_group=0
            )
        wait_until(self._answers, lambda: (self._folder / "output").read_text()[-2000:])

    def kill(self):
        """End the server as a power failure would."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, 9)
        self._process.wait()

    def close(self):
        """End the server, and the registry of names that Erlang has started for it."""
        self.kill()
        wait_until(self._end_registry)

    def _end_registry(self):
        """End the registry; it refuses while it has not noticed the server's end."""
        kill = ["epmd", "-port", self._environ["ERL_EPMD_PORT"], "-kill"]
        done = subprocess.run(kill, check=False, capture_output=True, text=True)
        return "not allowed" not in done.stdout + done.stderr

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(connection.recv(1))
        except OSError:
            time.sleep(0.2)
            return False
