"""The broker, by Celery: its messages say that items wait, and nothing else. The database has the items.

A message wakes the threads of a worker. These look into the database by themselves too, so a message that is
lost delays items by some seconds, and a doubled one costs a query. There is no result backend.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from celery import Celery
from celery.signals import worker_shutting_down
from celery.worker import state
from kombu.exceptions import OperationalError

if TYPE_CHECKING:
    from service.jobs.batch_workers import BatchWorkers

QUEUE = "riskscan.batches"
TASK = "riskscan.wake"
MAX_MESSAGES = 16
"""Messages for one announcement; each wakes one worker."""
VISIBILITY_TIMEOUT_S = 60
"""Redis delivers a message again that is not acknowledged for so long; a task takes microseconds."""
_EXPIRES_S = 120
_SEND_TIMEOUT_S = 2.0
_REDIS = {
    "visibility_timeout": VISIBILITY_TIMEOUT_S,
    "socket_timeout": 5.0,
    "socket_connect_timeout": _SEND_TIMEOUT_S,
}
_PAUSE_S = 8.0
"""Pause after a failed announcement, so that a broker that hangs does not delay other small tasks."""
_log = logging.getLogger(__name__)


def open_celery(url: str) -> Celery:
    """Return the Celery application; it does not connect yet."""
    app = Celery("riskscan", broker=url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_default_queue=QUEUE,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=_SEND_TIMEOUT_S,
        broker_transport_options=_REDIS if url.startswith("redis") else {},
    )
    return app


class Broker:
    """Sends messages. Thread-safe."""

    def __init__(self, url: str) -> None:
        self._app = open_celery(url)
        self._away_until_s = 0.0

    def announce(self, n_items: int) -> None:
        """Say that items wait; if the broker is away, a later announcement says it."""
        if time.monotonic() < self._away_until_s:
            return
        try:
            for _ in range(min(n_items, MAX_MESSAGES)):
                self._app.send_task(TASK, queue=QUEUE, expires=_EXPIRES_S, retry=False)
        except (OperationalError, OSError) as error:
            self._away_until_s = time.monotonic() + _PAUSE_S
            _log.warning(
                "BROKER_URL is unavailable (%s); documents of batches wait until it is back",
                type(error).__name__,
            )

    def close(self) -> None:
        """Close the connections."""
        self._app.close()


def serve_messages(url: str, workers: BatchWorkers, *, stopped: threading.Event) -> None:
    """Wake the workers at each message, until SIGTERM sets `stopped`; must run in the main thread."""
    app = open_celery(url)

    @app.task(name=TASK)  # type: ignore[untyped-decorator]  # Celery has no annotations
    def wake() -> None:
        workers.wake()

    def stop(**_: object) -> None:
        stopped.set()

    class Worker(app.Worker):  # type: ignore[misc, name-defined]  # as above
        def on_start(self) -> None:
            """Install Celery's handlers of signals; a signal that came before them still ends the worker."""
            super().on_start()
            if stopped.is_set():
                state.should_stop = os.EX_OK

    worker_shutting_down.connect(stop)
    worker = Worker(
        pool="solo", concurrency=1, without_gossip=True, without_mingle=True, loglevel="WARNING"
    )
    try:
        worker.start()
    except SystemExit as exit_:  # Celery ends a warm shutdown so
        if exit_.code:
            raise
    finally:
        worker_shutting_down.disconnect(stop)
