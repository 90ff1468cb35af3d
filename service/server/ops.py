"""The ops listener: starts the process that answers on OPS_PORT, and tells it every second how things are."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from typing import Any

from service.domain.readiness import AGAIN_S, EVERY_S, Report
from service.domain.services import Services
from service.observability.metrics import MEDIA_TYPE
from service.server.child_process import ChildProcess

# Writing the metrics out takes 6 ms of processor time (800 lines, November 2026).
METRICS_EVERY_S = 2.0
_log = logging.getLogger(__name__)


class OpsListener:
    """Keeps the ops process running and informed.

    Raises:
        OSError: the address is taken or not this machine's.
    """

    def __init__(self, host: str, port: int, services: Services) -> None:
        self._services = services
        self._sockets = _listening(host, port)
        self.port = int(self._sockets[0].getsockname()[1])
        self._child = ChildProcess(
            "service.server.ops_process", [one.fileno() for one in self._sockets]
        )
        self._metrics_at_s = -float("inf")
        self._woken = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="ops", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def wake(self) -> None:
        """Tell at once what has changed."""
        self._woken.set()

    def close(self) -> None:
        """End the process and its port."""
        self._is_closing = True
        self._woken.set()
        self._child.end()  # also ends a write that blocks the thread
        if self._thread.is_alive():
            self._thread.join()
        for one in self._sockets:
            one.close()

    def _run(self) -> None:
        while not self._is_closing:
            report = self._services.readiness.report()
            try:
                self._tell(report)
            except OSError as error:
                if not self._is_closing:  # close() ends the process, and so this write
                    _log.error("cannot report to the ops process: %s", type(error).__name__)
            except Exception as error:  # noqa: BLE001 - the edge of the thread, which must outlive any
                _log.error("the ops process was not told", exc_info=error)
            self._woken.wait(AGAIN_S if report.faults else EVERY_S)
            self._woken.clear()

    def _tell(self, report: Report) -> None:
        if self._child.ensure_running():
            self._metrics_at_s = -float("inf")
        self._child.write(json.dumps(self._news(report)).encode() + b"\n")

    def _news(self, report: Report) -> dict[str, Any]:
        faults = [[fault.field, fault.message] for fault in report.faults]
        news: dict[str, Any] = {"ready": report.answer(), "faults": faults}
        now_s = time.monotonic()
        if now_s - self._metrics_at_s >= METRICS_EVERY_S:
            self._metrics_at_s = now_s
            text = self._services.metrics.exposition().decode()
            news |= {"metrics": text, "media_type": MEDIA_TYPE}
        return news


def _listening(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for each address that `host` has."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, _, _, _, address in found:
            sockets.append(socket.create_server(address, family=family))
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets
