"""The connection of a serving process to its supervisor: it reports there, and asks about all processes."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from concurrent.futures import Future
from typing import Any

from service.domain.health_report import Probes, Report
from service.domain.services import Services
from service.errors import NotReady
from service.server.process_messages import Channel, decode_report, encode_report
from service.server.snapshot_loop import METRICS_EVERY_S, SnapshotLoop

_ANSWER_S = 2.0
"""Seconds after which a busy or hanging supervisor is not waited for."""
_ORPHANED = 1
_log = logging.getLogger(__name__)


class SupervisorLink:
    """Reports the state of this process, and asks the supervisor about that of all."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._ids = itertools.count()
        self._pending: dict[int, Future[Any]] = {}

    def start(self) -> None:
        """Receive answers on a thread. At the end of the supervisor it ends this process at once.

        An orphan would hold the port that the next supervisor needs.
        """
        threading.Thread(target=self._receive, name="supervisor", daemon=True).start()

    def report_started(self) -> None:
        """Report that this process serves."""
        self._channel.send({"started": True})

    def report(self, report: Report, metrics: list[list[Any]] | None) -> None:
        """Report readiness, and the metrics unless they are None."""
        snapshot: dict[str, Any] = {"report": encode_report(report)}
        if metrics is not None:
            snapshot["metrics"] = metrics
        self._channel.send(snapshot, timeout_s=_ANSWER_S)

    def ask(self, question: str) -> Any:  # noqa: ANN401 - JSON
        """Return the supervisor's answer to `question`, "report" or "metrics".

        Raises:
            OSError: it did not answer in time.
        """
        number, answer = next(self._ids), Future[Any]()
        self._pending[number] = answer
        try:
            self._channel.send({"question": question, "id": number}, timeout_s=_ANSWER_S)
            return answer.result(_ANSWER_S)
        finally:
            del self._pending[number]

    def _receive(self) -> None:
        for message in self._channel.received():
            if answer := self._pending.get(message["id"]):
                answer.set_result(message["answer"])
        os._exit(_ORPHANED)


class GroupProbes:
    """Readiness and metrics of all processes, from the supervisor."""

    def __init__(self, services: Services, link: SupervisorLink) -> None:
        self._services = services
        self._own: Probes = services.probes
        self._link = link

    def report(self) -> Report:
        """Return the state of all processes; that of this one while it drains or nobody answers."""
        own = self._own.report()
        if self._services.draining.is_set():
            return own
        try:
            return decode_report(self._link.ask("report"))
        except OSError:
            return own

    def exposition(self) -> bytes:
        """Return the metrics of all processes, with those of this one as of now.

        Raises:
            NotReady: the supervisor did not answer. Those of this process alone would let counters fall.
        """
        try:
            self._link.report(self._own.report(), self._services.metrics.plain_values())
            text: str = self._link.ask("metrics")
        except OSError as error:
            raise NotReady("The supervisor did not answer; try again in a few seconds.") from error
        return text.encode()


class SupervisorReporter:
    """Sends the supervisor a snapshot of this process every second."""

    def __init__(self, services: Services, link: SupervisorLink) -> None:
        self._metrics = services.metrics
        self._readiness = services.readiness
        self._link = link
        self._metrics_sent_at_s = -float("inf")
        self._loop = SnapshotLoop("the supervisor", services.readiness.report, self._send)

    def start(self) -> None:
        """Report that the process serves, and start sending."""
        self._link.report_started()
        self._loop.start()

    def send_now(self) -> None:
        """Send the next snapshot without waiting for the second to pass."""
        self._loop.send_now()

    def close(self) -> None:
        """Send a last snapshot with the metrics, so that none is lost, and end."""
        self._loop.stop()
        self._loop.join()
        self._metrics_sent_at_s = -float("inf")
        try:
            self._send(self._readiness.report())
        except OSError:
            _log.warning("the supervisor did not take the last metrics")

    def _send(self, report: Report) -> None:
        now_s = time.monotonic()
        is_due = now_s - self._metrics_sent_at_s >= METRICS_EVERY_S
        if is_due:
            self._metrics_sent_at_s = now_s
        self._link.report(report, self._metrics.plain_values() if is_due else None)
