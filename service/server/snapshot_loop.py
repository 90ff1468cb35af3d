"""The thread that reports the state of this process to another one, every second and on demand."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from service.domain.health_report import CHECK_INTERVAL_S, RETRY_INTERVAL_S, Report

# Rendering the metrics takes 6 ms of processor time (800 lines, November 2026).
METRICS_EVERY_S = 2.0
_log = logging.getLogger(__name__)


class Reporter(Protocol):
    """Reports the state of a server to another process while it serves."""

    def start(self) -> None:
        """Start reporting."""

    def send_now(self) -> None:
        """Report without waiting for the second to pass."""

    def close(self) -> None:
        """Stop reporting."""


class SnapshotLoop:
    """Calls `send` with the state of the service every second, on a thread of its own."""

    def __init__(
        self, receiver: str, report: Callable[[], Report], send: Callable[[Report], None]
    ) -> None:
        """`receiver` names the other process in the log; `send` may raise OSError."""
        self._receiver = receiver
        self._report = report
        self._send = send
        self._wake = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def send_now(self) -> None:
        """Send the next snapshot without waiting for the second to pass."""
        self._wake.set()

    def stop(self) -> None:
        """Tell the thread to end; a write that blocks it has to be ended by other means."""
        self._is_closing = True
        self._wake.set()

    def join(self) -> None:
        """Return when the thread has ended."""
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._is_closing:
            report = self._report()
            try:
                self._send(report)
            except OSError as error:
                if not self._is_closing:  # the end of the receiver makes a write fail
                    _log.error("cannot write to %s: %s", self._receiver, type(error).__name__)
            except Exception as error:  # noqa: BLE001 - the edge of the thread, which must outlive any fault
                _log.error("cannot send a snapshot to %s", self._receiver, exc_info=error)
            self._wake.wait(RETRY_INTERVAL_S if report.faults else CHECK_INTERVAL_S)
            self._wake.clear()
