"""The container of one process's parts, for app, worker, commands and tests. It opens each when needed.

Imports no web framework.
"""

from __future__ import annotations

import threading
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from sqlalchemy.engine import make_url

from db.queries.risks import delete_unreachable
from service.config.settings import Config
from service.domain import blocks
from service.domain.batches import figures as batch_figures
from service.domain.batches.figures import QueueFigures
from service.domain.deployments import drift_monitor
from service.domain.document_services import DocumentServices
from service.domain.egress.recorder import delete_old
from service.domain.health_report import Probes, Report
from service.domain.periodic_tasks import PeriodicTasks
from service.domain.readiness import Readiness
from service.domain.search import indexer as search_indexer
from service.domain.webhooks import sender as webhook_sender
from service.nlp.analyzers.pool import AnalyzerPool

_A_DAY_S = 24 * 3600


def activated_model(config: Config) -> str | None:
    """Return the name/version of the model activated last, or None; changes no database.

    Raises:
        DatabaseUnavailable: the database is unavailable, or its schema is not current.
    """
    url = make_url(config.database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return None
    with build_services(config) as services:
        return services.deployments.activated()


def build_services(
    config: Config, *, analyzers: AnalyzerPool | None = None, limit_statements: bool = True
) -> Services:
    """Return the services of one process; nothing is opened yet.

    The caller owns `analyzers`: closing the services leaves them open. Without
    `limit_statements`, a database statement may take as long as it needs.
    """
    return Services(config, analyzers=analyzers, limit_statements=limit_statements)


class Services(DocumentServices):
    """The parts of one process. Each opens when it is first read, so a command opens only what it uses.

    A process that serves calls `open`, upgrades the database, then calls `start`.
    """

    def __init__(
        self, config: Config, *, analyzers: AnalyzerPool | None, limit_statements: bool
    ) -> None:
        super().__init__(config, analyzers=analyzers, limit_statements=limit_statements)
        self.draining = threading.Event()
        self.probes: Probes = OwnProbes(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Open every part; this loads the model and checks its golden scores.

        Raises:
            ConfigError, ArtifactError: a part cannot open; the message names the remedy.
        """
        for theme in reversed(type(self).__mro__):
            for name, part in vars(theme).items():
                if isinstance(part, cached_property):
                    getattr(self, name)

    def start(self, *, keeps_house: bool = True) -> None:
        """Serve the model that was activated last, and start the threads. Needs an upgraded database.

        One of several processes of a supervisor `keeps_house`: it purges, seals and cleans up for all.
        """
        if self.rollout is not None:
            self.rollout.start()
        self.readiness.start()
        self.background.start()
        self.search_indexer.start()
        for schedule in self.schedules if keeps_house else self.own_schedules:
            schedule.start()
        self.egress.start()
        self._connect_gauges()

    def close(self) -> None:
        """End the threads and close what is open: models and database connections."""
        self.draining.set()  # no thread begins another delivery of a webhook
        schedules = vars(self).get("schedules", ())
        sending = vars(self).get("webhook_sending", ())
        for schedule in schedules:
            schedule.stop()
        for schedule in schedules:
            if schedule not in sending:
                schedule.close()
        self._close_parts(
            *("background", "search_indexer", "rollout", "shadow", "drift", "readiness"),
            *("analyzers", "egress", "tracing"),
        )
        # Late: a delivery may take longer than a supervisor waits, and the parts above store their queues.
        for schedule in sending:
            schedule.close()
        self._close_parts("transactions", "result_cache")

    def _close_parts(self, *names: str) -> None:
        for name in names:
            part = vars(self).get(name)
            is_shared = name == "analyzers" and part is self._shared_analyzers
            if part is not None and not is_shared:
                part.close()

    @cached_property
    def clean_up(self) -> PeriodicTasks:
        """Deletes old rows, and bytes that a crash left, in the background."""
        days = self.config.api_interaction_days
        return PeriodicTasks(
            "clean-up",
            {
                "api_interactions": partial(delete_old, self.transactions, days=days),
                "webhook deliveries": partial(
                    webhook_sender.delete_old,
                    self.transactions,
                    days=self.config.webhook_delivery_days,
                ),
                "drift counts": self.drift.delete_old,
                "exports": self.report_logs.settle,
                "risks of nobody": partial(self.transactions.run, delete_unreachable),
                "files of deleted accounts": self.files.finish_removals,
                "unfinished uploads": self.files.remove_leftovers,
                "originals of deleted accounts": self.originals.finish_removals,
                "unfinished originals": self.originals.remove_leftovers,
                "batches of deleted accounts": self.batch_bytes.finish_removals,
                "unfinished batches": self.batch_intake.remove_abandoned,
                "unfinished documents of batches": self.batch_bytes.remove_leftovers,
            },
            every_s=3600,
        )

    @cached_property
    def purging(self) -> PeriodicTasks:
        """Deletes what is past retention, in the background."""
        return PeriodicTasks("purge", {"old data": self.purge.run_daily}, every_s=_A_DAY_S)

    @cached_property
    def block_refreshing(self) -> PeriodicTasks:
        return PeriodicTasks("blocks", {"networks": self.blocks.refresh}, every_s=blocks.EVERY_S)

    @cached_property
    def drift_refreshing(self) -> PeriodicTasks:
        every_s = drift_monitor.EVERY_S
        return PeriodicTasks("drift", {"counts": self.drift.refresh}, every_s=every_s)

    @cached_property
    def search_indexing(self) -> PeriodicTasks:
        tasks = {"scans and lessons": self.search_indexer.catch_up}
        if self.index_sync is not None:
            tasks["index service"] = self.index_sync.run
        return PeriodicTasks("search", tasks, every_s=search_indexer.CATCH_UP_S)

    @cached_property
    def audit_sealing(self) -> PeriodicTasks:
        every_s = self.config.audit_seal_every_s
        tasks = {"events": self.audit_seals.seal}
        return PeriodicTasks("audit-sealing", tasks, every_s=every_s, wait_s=every_s)

    @cached_property
    def webhook_sending(self) -> tuple[PeriodicTasks, ...]:
        """Two threads, so that one receiver that does not answer holds up no other user's events."""
        send_due = partial(self.webhook_sender.send_due, is_stopping=self.draining.is_set)
        tasks = {"deliveries": send_due}
        every_s = webhook_sender.EVERY_S
        return tuple(PeriodicTasks("webhooks", tasks, every_s=every_s) for _ in range(2))

    @cached_property
    def batch_figures(self) -> QueueFigures:
        return QueueFigures(self.transactions)

    @cached_property
    def batch_counting(self) -> PeriodicTasks:
        tasks = {"queue": self.batch_figures.refresh}
        return PeriodicTasks("batch-figures", tasks, every_s=batch_figures.EVERY_S)

    @cached_property
    def batch_clearing(self) -> PeriodicTasks:
        """Removes bytes of batches that nobody needs. A process is woken after it has cancelled a batch."""
        remove = partial(self.batch_bytes.remove_unneeded, is_stopping=self.draining.is_set)
        tasks = {"documents of ended batches": remove}
        return PeriodicTasks("batch clean-up", tasks, every_s=3600)

    @cached_property
    def own_schedules(self) -> tuple[PeriodicTasks, ...]:
        """What every process does for itself at intervals, in threads of its own."""
        return (self.block_refreshing, self.drift_refreshing, self.batch_clearing)

    @cached_property
    def schedules(self) -> tuple[PeriodicTasks, ...]:
        """Everything that runs at intervals. Several processes may do all of it at once."""
        return (
            *self.own_schedules,
            self.clean_up,
            self.purging,
            self.audit_sealing,
            self.search_indexing,
            *self.webhook_sending,
            self.batch_counting,
        )

    @cached_property
    def readiness(self) -> Readiness:
        return Readiness(self.transactions, self.analyzers, self.draining)

    def _connect_gauges(self) -> None:
        """Give the gauges that are computed at scrape time their functions."""
        metrics, readiness = self.metrics, self.readiness
        metrics.ready.set_function(lambda: float(not readiness.report().faults))
        metrics.database_age.set_function(lambda: readiness.report().age_s)
        metrics.models.set_function(self._models_in_use)
        metrics.batch_items.set_function(self.batch_figures.items)
        metrics.batch_age.set_function(self.batch_figures.oldest_waiting_s)
        metrics.drift.set_function(lambda: self._drift("psi"))
        metrics.drift_by_chance.set_function(lambda: self._drift("chance"))

    def _drift(self, figure: Literal["psi", "chance"]) -> dict[tuple[str, ...], float]:
        return {(name,): getattr(shift, figure) for name, shift in self.drift.shifts().items()}

    def _models_in_use(self) -> dict[tuple[str, ...], float]:
        """Return 1 for each model in use, by role, name and version: an info metric."""
        serving = self.analyzers.default
        models: dict[tuple[str, ...], float] = {
            ("serving", serving.model_name, serving.model_version): 1.0
        }
        if self.rollout is not None and self.rollout.shadowing is not None:
            name, _, version = self.rollout.shadowing.partition("/")
            models["shadow", name, version] = 1.0
        if self.config.llm_base_url and self.config.llm == "on":
            models["llm", self.config.llm_model, ""] = 1.0
        return models


class OwnProbes:
    """Readiness and metrics of this process alone."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def report(self) -> Report:
        """Return the results of the last checks of this process."""
        return self._services.readiness.report()

    def exposition(self) -> bytes:
        """Return the metrics of this process."""
        return self._services.metrics.exposition()
