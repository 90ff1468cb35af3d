"""Messages between a supervisor and its processes: one JSON document per line, over a socket pair."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from service.domain.health_report import Report
from service.errors import Fault

Message = Mapping[str, Any]
"""From a process: `started`; a snapshot with `report` and sometimes `metrics`; or `question` with an `id`.
To it: `answer` with that `id`."""


class Channel:
    """One end of the socket pair; threads may send at the same time, and one receives."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lines = end.makefile("rb")
        self._sending = threading.Lock()

    def send(self, message: Message, *, timeout_s: float = -1) -> None:
        """Send a message; wait at most `timeout_s` for other senders, by default without limit.

        Raises:
            OSError: the other end is closed, or another sender has waited for it too long.
        """
        line = json.dumps(message).encode() + b"\n"
        if not self._sending.acquire(timeout=timeout_s):
            raise TimeoutError
        try:
            self._end.sendall(line)
        finally:
            self._sending.release()

    def received(self) -> Iterator[Message]:
        """Yield each message until the other end is closed."""
        with contextlib.suppress(OSError):
            for line in self._lines:
                if line.endswith(b"\n"):  # else the process was killed in the middle of it
                    yield json.loads(line)

    def close(self) -> None:
        """Close this end; `received` ends at both."""
        with contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_RDWR)
        self._lines.close()
        self._end.close()


def encode_report(report: Report) -> dict[str, Any]:
    """Return `report` for JSON."""
    faults = [[fault.field, fault.message] for fault in report.faults]
    return {"faults": faults, "checks": dict(report.checks), "age_s": report.age_s}


def decode_report(encoded: Message, *, later_s: float = 0.0) -> Report:
    """Return the report that `encode_report` encoded, `later_s` after it was received."""
    faults = tuple(Fault(*fault) for fault in encoded["faults"])
    return Report(faults, encoded["checks"], encoded["age_s"] + later_s)
