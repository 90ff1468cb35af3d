"""What a readiness check reports. Imports nothing that a process without a model and a database lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from service.errors import Fault

CHECK_INTERVAL_S = 1.0
RETRY_INTERVAL_S = 0.2
"""Interval after a fault, to detect a recovery soon."""


@dataclass(frozen=True, slots=True)
class Report:
    """The last checks: without `faults`, a scan can be answered. `age_s` is the time since the checks."""

    faults: tuple[Fault, ...]
    checks: Mapping[str, str]
    age_s: float

    def message(self) -> str:
        """Return one sentence for each fault."""
        return " ".join(fault.message for fault in self.faults)

    def answer(self) -> dict[str, object]:
        """Return the body of a readiness check that passed."""
        return {"status": "ready", "checks": dict(self.checks), "age_s": round(self.age_s, 3)}


class Probes(Protocol):
    """What /health/ready and /metrics answer: for this process, or for all that share its port."""

    def report(self) -> Report:
        """Return the results of the last checks."""

    def exposition(self) -> bytes:
        """Return the metrics in the Prometheus text format."""
