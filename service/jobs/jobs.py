"""The background work of one process: the workers of batches that it runs, and the broker that it uses."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from service.domain.periodic_tasks import PeriodicTasks
from service.domain.services import Services
from service.errors import ConfigError
from service.jobs.batch_workers import POLL_S, BatchWorkers

if TYPE_CHECKING:
    from service.jobs.broker import Broker

POLL_WITH_BROKER_S = 10.0
"""Seconds between two looks of a worker that a broker wakes, so that no document waits for a broker."""
RESEND_EVERY_S = 10.0
"""Seconds after which waiting items are announced again."""


class Jobs:
    """Opens with a block and closes with it; what still runs then goes back to the queue."""

    def __init__(self, services: Services, *, is_worker: bool = False) -> None:
        """A service with a broker leaves the items to the workers; a worker always runs them."""
        config = services.config
        self._services = services
        self._broker = _open_broker(config.broker_url)
        n = max(1, config.batch_workers) if is_worker else config.batch_workers
        runs_items = is_worker or (n > 0 and self._broker is None)
        self.workers: BatchWorkers | None = None
        if runs_items:
            self.workers = BatchWorkers(
                services.batch_runs,
                n=n,
                lease_s=config.batch_lease_s,
                draining=services.draining,
                poll_s=POLL_WITH_BROKER_S if self._broker else POLL_S,
            )
        self._resending: PeriodicTasks | None = None
        if self._broker is not None and not is_worker:
            tasks = {"waiting documents": self._announce_waiting}
            self._resending = PeriodicTasks("batches", tasks, every_s=RESEND_EVERY_S)

    def __enter__(self) -> Self:
        signal = self._services.batch_signal
        if self.workers is not None:
            self.workers.start()
            signal.subscribe(self.workers.wake)
        if self._resending is not None:
            signal.subscribe(self._announce)
            self._resending.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._resending is not None:
            self._resending.close()
        if self.workers is not None:
            self.workers.close()
        if self._broker is not None:
            self._broker.close()

    def serve(self, stopped: threading.Event) -> None:
        """Run items until `stopped` is set by a signal; must run in the main thread."""
        if self._broker is None or self.workers is None:
            stopped.wait()
            return
        from service.jobs.broker import serve_messages  # noqa: PLC0415 - as above

        serve_messages(self._services.config.broker_url, self.workers, stopped=stopped)

    def _announce(self, n_items: int) -> None:
        """Send messages after the answer, on the thread of small tasks: a broker may hang."""
        if (broker := self._broker) is not None:
            self._services.background.submit(lambda: broker.announce(n_items))

    def _announce_waiting(self) -> int:
        n_items = self._services.batch_runs.count_waiting()
        if n_items and self._broker is not None:
            self._broker.announce(n_items)
        return 0


def _open_broker(url: str) -> Broker | None:
    """Return the broker; only a process that has one imports Celery."""
    if not url:
        return None
    try:
        from service.jobs.broker import Broker  # noqa: PLC0415 - an extra package, heavy
    except ModuleNotFoundError as error:
        raise ConfigError(
            "BROKER_URL needs Celery. Run `.venv/bin/pip install -r requirements-worker.txt -c "
            "constraints.txt` in the environment of the service and of its workers, or unset it."
        ) from error
    return Broker(url)
