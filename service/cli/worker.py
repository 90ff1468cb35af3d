"""`python -m service worker`: scans the documents of batches in a process of its own."""

from __future__ import annotations

import click

from service.config import settings


@click.command()
def worker() -> None:
    """Scan the documents of batches until SIGTERM; BROKER_URL wakes this process, if it is set.

    It needs the same database, DATA_DIR and model as the service. OPS_PORT serves its /health and /metrics.
    """
    from service.server.worker_startup import run_worker  # noqa: PLC0415 - loads the model's libraries

    run_worker(settings.load())
