"""Runs the sidecar, which answers /health and /metrics on OPS_PORT, and sends it snapshots of the service."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from typing import Any

from service.domain.readiness import CHECK_INTERVAL_S, RETRY_INTERVAL_S, Report
from service.domain.services import Services
from service.observability.metrics import MEDIA_TYPE
from service.server.child_process import ChildProcess

# Rendering the metrics takes 6 ms of processor time (800 lines, November 2026).
METRICS_EVERY_S = 2.0
_log = logging.getLogger(__name__)


class Sidecar:
    """Supervises the sidecar process and sends it a snapshot of the service every second."""

    def __init__(self, sockets: list[socket.socket], services: Services) -> None:
        """The process serves on `sockets`, which listen already; `close` closes them."""
        self._services = services
        self._sockets = sockets
        self.port = int(sockets[0].getsockname()[1])
        self._process = ChildProcess(
            "service.server.sidecar_process", [listening.fileno() for listening in sockets]
        )
        self._metrics_sent_at_s = -float("inf")
        self._wake = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="sidecar", daemon=True)

    def start(self) -> None:
        """Start the process and the thread that sends snapshots."""
        self._thread.start()

    def send_now(self) -> None:
        """Send the next snapshot without waiting for the second to pass."""
        self._wake.set()

    def close(self) -> None:
        """End the process and close its port."""
        self._is_closing = True
        self._wake.set()
        self._process.end()  # also ends a write that blocks the thread
        if self._thread.is_alive():
            self._thread.join()
        _close(self._sockets)

    def _run(self) -> None:
        while not self._is_closing:
            report = self._services.readiness.report()
            try:
                self._send(report)
            except OSError as error:
                if not self._is_closing:  # close() ends the process, so this write fails
                    _log.error("cannot write to the sidecar: %s", type(error).__name__)
            except Exception as error:  # noqa: BLE001 - the edge of the thread, which must outlive any fault
                _log.error("cannot send a snapshot to the sidecar", exc_info=error)
            self._wake.wait(RETRY_INTERVAL_S if report.faults else CHECK_INTERVAL_S)
            self._wake.clear()

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
            text = self._services.metrics.exposition().decode()
            snapshot |= {"metrics": text, "media_type": MEDIA_TYPE}
        return snapshot


def open_sidecar(host: str, port: int, services: Services) -> Sidecar:
    """Listen on each address of `host`.

    Raises:
        OSError: an address is taken or belongs to another machine.
    """
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in addresses:
            sockets.append(socket.create_server(address, family=family))
    except OSError:
        _close(sockets)
        raise
    return Sidecar(sockets, services)


def _close(sockets: list[socket.socket]) -> None:
    for listening in sockets:
        listening.close()
