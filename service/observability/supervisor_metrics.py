"""The metrics of a supervisor: its own process, and how many of its processes are ready."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
)


class SupervisorMetrics:
    """Metrics in their own registry, which are joined with those of the processes."""

    def __init__(self, n_processes: int, n_ready: Callable[[], int]) -> None:
        """`n_ready` counts the processes that are ready now."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        # Its start is the earliest, which is when the sums of all counters started.
        ProcessCollector(registry=self.registry)
        self._gauge("riskscan_web_processes", "Processes that should serve PORT.").set(n_processes)
        ready = self._gauge("riskscan_web_processes_ready", "Processes that are ready.")
        ready.set_function(n_ready)
        # The processes have it too. Here it is 0 while none of them lives.
        self._gauge("riskscan_ready", "1 if the service can answer and store a scan, else 0.")
        self.restarts = Counter(
            "riskscan_web_process_restarts_total",
            "Restarts of processes that had died.",
            registry=self.registry,
        )

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(name, help_text, registry=self.registry)
