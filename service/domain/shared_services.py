"""The services that every theme uses: database, metrics, background work. services.py joins all themes."""

from __future__ import annotations

from functools import cached_property

from db.database import Database
from db.engines import open_unpooled_engine
from service.config.development_keys import with_development_keys
from service.config.settings import Config
from service.domain.background_tasks import BackgroundTasks
from service.domain.egress.recorder import EgressRecorder
from service.domain.result_cache import ResultCache
from service.domain.transactions import Transactions, open_database
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.observer import Observer, StageObservers
from service.observability.metrics import Metrics
from service.observability.tracing import Tracing, open_tracing


class SharedServices:
    """What every theme uses. Each part opens when it is first read."""

    def __init__(
        self, config: Config, *, analyzers: AnalyzerPool | None, limit_statements: bool
    ) -> None:
        self.config = config
        self._shared_analyzers = analyzers
        self._limit_statements = limit_statements

    @cached_property
    def signing_config(self) -> Config:
        """The settings with signing keys, which development creates in DATA_DIR."""
        return with_development_keys(self.config)

    @cached_property
    def transactions(self) -> Transactions:
        if self._limit_statements:
            database = open_database(self.config, pool_size=self.config.database_pool_size)
        else:
            database = Database(open_unpooled_engine(self.config.database_url))
        if self.result_cache is not None:
            database.watch_writes(self.result_cache.forget_after)
        return Transactions(database)

    @cached_property
    def result_cache(self) -> ResultCache | None:
        """None without REDIS_URL."""
        return ResultCache(self.config.redis_url) if self.config.redis_url else None

    @cached_property
    def metrics(self) -> Metrics:
        return Metrics()

    @cached_property
    def tracing(self) -> Tracing:
        return open_tracing(self.config.otel_exporter_otlp_endpoint)

    @cached_property
    def observer(self) -> Observer:
        """Receives the events of scans: the metrics, and the spans of stages."""
        return StageObservers(self.metrics, self.tracing)

    @cached_property
    def egress(self) -> EgressRecorder:
        return EgressRecorder(lambda: self.transactions)

    @cached_property
    def background(self) -> BackgroundTasks:
        return BackgroundTasks(on_dropped=self.metrics.report_dropped)
