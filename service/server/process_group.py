"""The processes of one supervisor as one: ready if one of them is, and with the sum of their metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest

from service.domain.health_report import Report
from service.errors import Fault
from service.observability.metric_sums import MetricSums, plain_values
from service.observability.supervisor_metrics import SupervisorMetrics
from service.server.process_messages import Message, decode_report

SILENT_S = 10.0
"""Seconds without a snapshot after which a process counts as hung; it sends one a second."""
_SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True)
class _Last:
    """The last report of a process, and when it arrived."""

    report: Message
    at_s: float


class ProcessGroup:
    """What the processes reported last, joined. Thread-safe; implements Probes."""

    def __init__(self, n_processes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._n_processes = n_processes
        self._clock = clock
        self._is_draining = False
        self._lock = threading.Lock()
        self._last: dict[Hashable, _Last] = {}
        self._sums = MetricSums()
        self._sum_registry = CollectorRegistry()
        self._sum_registry.register(self._sums)
        self._own = SupervisorMetrics(n_processes, self._n_ready)

    def receive(self, process: Hashable, snapshot: Message) -> None:
        """Replace the state of `process`; only some snapshots have metrics."""
        if "metrics" in snapshot:
            self._sums.update(process, snapshot["metrics"])
        with self._lock:
            self._last[process] = _Last(snapshot["report"], self._clock())

    def end(self, process: Hashable) -> None:
        """Forget a process that has ended, but for its counters."""
        self._sums.end(process)
        with self._lock:
            self._last.pop(process, None)

    def count_restart(self) -> None:
        """Count the restart of a process that had died."""
        self._own.restarts.inc()

    def drain(self) -> None:
        """Report from now on that the service is shutting down."""
        self._is_draining = True

    def report(self) -> Report:
        """Return the newest report of a ready process, or the faults of all if none is ready."""
        reports = self._reports()
        ready = [report for report in reports if not report.faults]
        checks = {"processes": f"{len(ready)} of {self._n_processes} are ready"}
        faults = [fault for report in reports for fault in report.faults]
        if self._is_draining:
            faults = [Fault("process", "The process is shutting down.")]
        elif ready:
            newest = min(ready, key=lambda report: report.age_s)
            return Report((), {**newest.checks, **checks}, newest.age_s)
        if not faults:
            faults = [Fault("process", "No process serves; the service's log says why.")]
        return Report(tuple(dict.fromkeys(faults)), checks, 0.0)

    def exposition(self) -> bytes:
        """Return the metrics of all processes, joined, in the Prometheus text format."""
        self._sums.update(_SUPERVISOR, plain_values(self._own.registry))
        return generate_latest(self._sum_registry)

    def _reports(self) -> list[Report]:
        """Return the last report of each process; one that hangs has a fault."""
        now_s = self._clock()
        with self._lock:
            last = list(self._last.values())
        hangs = Fault("process", f"A process sent no snapshot for {SILENT_S:g} s; it hangs.")
        reports = []
        for one in last:
            age_s = now_s - one.at_s
            report = decode_report(one.report, later_s=age_s)
            is_silent = age_s > SILENT_S
            reports.append(Report((hangs,), {}, report.age_s) if is_silent else report)
        return reports

    def _n_ready(self) -> int:
        return sum(not report.faults for report in self._reports())
