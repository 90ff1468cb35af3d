"""Runs the sidecar, which answers /health and /metrics on OPS_PORT, and sends it snapshots of the service."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from service.domain.health_report import Probes, Report
from service.observability.metric_sums import MEDIA_TYPE
from service.server.child_process import ChildProcess
from service.server.listening import close_all, listen
from service.server.snapshot_loop import METRICS_EVERY_S, SnapshotLoop


class Sidecar:
    """Supervises the sidecar process and sends it a snapshot of the service every second."""

    def __init__(self, sockets: list[socket.socket], probes: Probes) -> None:
        """The process serves on `sockets`, which listen already; `close` closes them."""
        self._probes = probes
        self._sockets = sockets
        self.port = int(sockets[0].getsockname()[1])
        self._process = ChildProcess(
            "service.server.sidecar_process", [listening.fileno() for listening in sockets]
        )
        self._metrics_sent_at_s = -float("inf")
        self._loop = SnapshotLoop("the sidecar", probes.report, self._send)

    def start(self) -> None:
        """Start the process and the thread that sends snapshots."""
        self._loop.start()

    def send_now(self) -> None:
        """Send the next snapshot without waiting for the second to pass."""
        self._loop.send_now()

    def close(self) -> None:
        """End the process and close its port."""
        self._loop.stop()
        self._process.end()  # also ends a write that blocks the thread
        self._loop.join()
        close_all(self._sockets)

    def _send(self, report: Report) -> None:
        if self._process.ensure_running():
            self._metrics_sent_at_s = -float("inf")  # a new process has no metrics yet
        self._process.write(json.dumps(self._snapshot(report)).encode() + b"\n")

    def _snapshot(self, report: Report) -> dict[str, Any]:
        """Return readiness and faults, and every METRICS_EVERY_S the metrics too."""
        faults = [[fault.field, fault.message] for fault in report.faults]
        snapshot: dict[str, Any] = {"ready": report.answer(), "faults": faults}
        now_s = time.monotonic()
        if now_s - self._metrics_sent_at_s >= METRICS_EVERY_S:
            self._metrics_sent_at_s = now_s
            text = self._probes.exposition().decode()
            snapshot |= {"metrics": text, "media_type": MEDIA_TYPE}
        return snapshot


def open_sidecar(host: str, port: int, probes: Probes) -> Sidecar:
    """Listen on each address of `host`.

    Raises:
        ConfigError: an address is taken or belongs to another machine.
    """
    return Sidecar(listen(host, port), probes)
