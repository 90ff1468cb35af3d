"""Readiness: whether this process can answer a scan now. A thread checks, so no request waits.

Imports no web framework.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from service.domain.health_report import CHECK_INTERVAL_S, RETRY_INTERVAL_S, Report
from service.domain.transactions import Transactions
from service.errors import DatabaseUnavailable, Fault
from service.nlp.analyzers.base import Analyzer
from service.nlp.analyzers.pool import AnalyzerPool

STALE_S = 10.0
"""The database counts as unavailable after so long without a result. A refusal takes at most 6 s."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Checks:
    ended_at_s: float
    faults: tuple[Fault, ...]
    model: str


class Readiness:
    """Checks database and model every second on one thread; `report` returns the last results."""

    def __init__(
        self, transactions: Transactions, analyzers: AnalyzerPool, draining: threading.Event
    ) -> None:
        self._transactions = transactions
        self._analyzers = analyzers
        self._draining = draining
        starting = Fault("process", "The process has just started; nothing was checked yet.")
        self._last = _Checks(time.monotonic(), (starting,), "")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def report(self) -> Report:
        """Return the results of the last checks; never waits."""
        last = self._last
        age_s = time.monotonic() - last.ended_at_s
        faults = list(last.faults)
        if self._draining.is_set():
            faults.insert(0, Fault("process", "The process is shutting down."))
        if age_s > STALE_S:
            message = f"The database has not answered for {age_s:.0f} s."
            faults.append(Fault("database", message))
        return Report(tuple(faults), {"database": "answers", "model": last.model}, age_s)

    def close(self) -> None:
        """End the thread; wait at most CHECK_INTERVAL_S for a check that hangs."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(CHECK_INTERVAL_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            faults = [*self._database_faults()]
            with self._analyzers.lend() as analyzer:  # lent, so that an exchange cannot close it
                if not analyzer.is_ready():
                    message = "An inference thread has stopped; restart the process."
                    faults.append(Fault("model", message))
                self._last = _Checks(time.monotonic(), tuple(faults), _model_state(analyzer))
            self._closing.wait(RETRY_INTERVAL_S if faults else CHECK_INTERVAL_S)

    def _database_faults(self) -> list[Fault]:
        try:
            self._transactions.ping()
            self._transactions.prove_writable()
        except DatabaseUnavailable as error:
            return [Fault("database", error.message)]
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must survive any error
            _log.error("the database check failed", exc_info=error)
            return [Fault("database", "The database check failed; the service's log says why.")]
        return []


def _model_state(analyzer: Analyzer) -> str:
    if not analyzer.model_version:
        return f"{analyzer.model_name}: another service analyzes; readiness does not call it"
    return f"{analyzer.model_name} {analyzer.model_version} is verified"
