"""Whether the process can scan now, from what a thread found out shortly before: no check waits for one.

The database is asked once a second, however often and by however many the process is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from service.domain.transactions import Transactions
from service.errors import DatabaseUnavailable, Fault
from service.nlp.analyzers.base import Analyzer
from service.nlp.analyzers.pool import AnalyzerPool

EVERY_S = 1.0
AGAIN_S = 0.2
"""After a fault: what is waited for should not wait for this."""
STALE_S = 10.0
"""A database that neither answers nor refuses for so long is away; one refusal takes 6 s at most."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Report:
    """What is known: no `faults` when a scan can be answered; `age_s` since database and model were asked."""

    faults: tuple[Fault, ...]
    checks: Mapping[str, str]
    age_s: float

    def message(self) -> str:
        """Return the faults in a sentence each."""
        return " ".join(fault.message for fault in self.faults)

    def answer(self) -> dict[str, object]:
        """Return the body of a readiness check that passed."""
        return {"status": "ready", "checks": dict(self.checks), "age_s": round(self.age_s, 3)}


@dataclass(frozen=True, slots=True)
class _Seen:
    at_s: float
    faults: tuple[Fault, ...]
    model: str


class Readiness:
    """Asks database and model every second on a thread of its own; `report` answers from memory."""

    def __init__(
        self, transactions: Transactions, analyzers: AnalyzerPool, draining: threading.Event
    ) -> None:
        self._transactions = transactions
        self._analyzers = analyzers
        self._draining = draining
        nothing = Fault("process", "The process has only just started.")
        self._seen = _Seen(time.monotonic(), (nothing,), "")
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)

    def start(self) -> None:
        """Start the checks."""
        self._thread.start()

    def report(self) -> Report:
        """Return what is known now; never waits."""
        seen = self._seen
        age_s = time.monotonic() - seen.at_s
        faults = list(seen.faults)
        if self._draining.is_set():
            faults.insert(0, Fault("process", "The process is shutting down."))
        if age_s > STALE_S:
            told = f"The database has not answered for {age_s:.0f} s."
            faults.append(Fault("database", told))
        return Report(tuple(faults), {"database": "answers", "model": seen.model}, age_s)

    def close(self) -> None:
        """End the thread; one that waits for a database which is away is not waited for."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(EVERY_S)

    def _run(self) -> None:
        while not self._closing.is_set():
            faults = [*self._database_faults()]
            with self._analyzers.lend() as analyzer:  # so that no exchange closes it meanwhile
                if not analyzer.is_ready():
                    told = "An inference thread has stopped; restart the process."
                    faults.append(Fault("model", told))
                self._seen = _Seen(time.monotonic(), tuple(faults), _told(analyzer))
            self._closing.wait(AGAIN_S if faults else EVERY_S)

    def _database_faults(self) -> list[Fault]:
        try:
            self._transactions.ping()
            self._transactions.prove_writable()
        except DatabaseUnavailable as error:
            return [Fault("database", error.message)]
        except Exception as error:  # noqa: BLE001 - the edge of the thread, which must outlive any
            _log.error("the database cannot be asked", exc_info=error)
            return [Fault("database", "The database cannot be asked; the service's log says why.")]
        return []


def _told(analyzer: Analyzer) -> str:
    if not analyzer.model_version:
        return f"{analyzer.model_name}: another service analyzes; only a scan asks it"
    return f"{analyzer.model_name} {analyzer.model_version} is proved"
