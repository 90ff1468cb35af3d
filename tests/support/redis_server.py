"""A Redis server of a test's own, which may be killed, frozen and restarted without harm to others."""

import shutil
import signal
import subprocess
import time

import pytest
import redis

from tests.support.free_ports import free_port
from tests.support.waiting import wait_until


class RedisServer:
    """A server on a free port; `start` starts it again on the same port."""

    def __init__(self):
        if shutil.which("redis-server") is None:
            pytest.skip("redis-server is not installed")
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self):
        options = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self._process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def freeze(self):
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._process.send_signal(signal.SIGCONT)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def n_commands(self):
        with redis.Redis(port=self.port) as client:
            return client.info("stats")["total_commands_processed"]

    def _answers(self):
        with redis.Redis(port=self.port) as client:
            try:
                return client.ping()
            except redis.RedisError:
                time.sleep(0.05)
                return False
