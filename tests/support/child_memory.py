"""Receives the peak memory of sandboxed children that run tests.fakes.measured_worker."""

import os
import socket

from tests.fakes.measured_worker import address

WORKER = "tests.fakes.measured_worker"


class ChildMemory:
    """Use it as a context in the process that starts the children; Linux only."""

    def __enter__(self):
        self._reports = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._reports.bind(address(os.getpid()))
        return self

    def __exit__(self, *_):
        self._reports.close()

    def peak_bytes(self):
        """Return the peak of the child that ended last; None if it was killed, or none ran."""
        try:
            return int(self._reports.recv(32)) * 1024
        except BlockingIOError:
            return None
