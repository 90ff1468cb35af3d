"""The services about models: analyzers, registry, deployments, outgoing calls."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from service.config.shipped_model import shipped_folders
from service.domain.deployments.deployments import Deployments
from service.domain.deployments.drift_monitor import DriftMonitor
from service.domain.deployments.rollout import Rollout
from service.domain.deployments.shadow import Shadow
from service.domain.egress.llm_use import LlmUse
from service.domain.scan_reporter import ScanReporter
from service.domain.search.index_calls import IndexCalls
from service.domain.search.index_sync import IndexSync
from service.domain.search.indexer import SearchIndexer
from service.domain.search.lesson_source import LessonSource
from service.domain.search.scan_source import ScanSource
from service.domain.search.search import Search
from service.domain.search.vector_cache import VectorCache
from service.domain.shared_services import SharedServices
from service.nlp.analyzers.base import SentenceEncoder, SentenceScorer
from service.nlp.analyzers.factory import open_analyzers
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.artifacts.registry import Registry
from service.nlp.inference.default_model import default_folder
from service.nlp.observer import CallObservers
from service.nlp.taxonomy import Taxonomy


class ModelServices(SharedServices):
    @cached_property
    def llm_use(self) -> LlmUse:
        return LlmUse(self.config, lambda: self.transactions)

    @cached_property
    def analyzers(self) -> AnalyzerPool:
        return self._shared_analyzers or open_analyzers(
            self.config,
            self.metrics,
            egress=CallObservers(self.egress, self.tracing),
            budget=self.llm_use,
        )

    @property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy of the model that serves now."""
        return self.analyzers.taxonomy

    def thresholds(
        self, sensitivity: str | None = "balanced", *, model: tuple[str, str] | None = None
    ) -> Mapping[str, float]:
        """The threshold of each risk type of the serving model, by key.

        Empty if it gives no scores, has no such operating point, or is not `model` (name and version).
        """
        serving = self.analyzers.default
        if model not in {None, (serving.model_name, serving.model_version)}:
            return {}
        points = serving.operating_points if isinstance(serving, SentenceScorer) else {}
        point = {str(name): point for name, point in points.items()}.get(sensitivity or "")
        values = [] if point is None else point.thresholds.tolist()
        return dict(zip(serving.taxonomy.risk_types, values, strict=False))

    @cached_property
    def registry(self) -> Registry:
        return Registry(
            self.config.registry_dir, default_folder(self.config), shipped=shipped_folders()
        )

    @cached_property
    def deployments(self) -> Deployments:
        return Deployments(self.config, self.transactions, self.registry, self.rollout)

    @cached_property
    def rollout(self) -> Rollout | None:
        """Keeps this process on the activated model; None if another service analyzes."""
        if self.config.ai_service_url:
            return None
        return Rollout(
            self.config,
            self.transactions,
            lambda: self.analyzers,
            self.registry,
            self.shadow,
            observer=self.metrics,
        )

    @cached_property
    def shadow(self) -> Shadow:
        return Shadow(self.transactions, observer=self.metrics)

    @cached_property
    def drift(self) -> DriftMonitor:
        return DriftMonitor(self.transactions, self.registry, self._serving_model)

    def _serving_model(self) -> str:
        serving = self.analyzers.default
        return f"{serving.model_name}/{serving.model_version}"

    @cached_property
    def scan_reporter(self) -> ScanReporter:
        return ScanReporter(
            self.background, self.metrics, self.drift, self.shadow, self.search_indexer
        )

    @cached_property
    def search_indexer(self) -> SearchIndexer:
        transactions, sync = self.transactions, self.index_sync
        if sync is None:
            scans = ScanSource(transactions, self._encoder)
            return SearchIndexer(scans, LessonSource(transactions, self._encoder))
        return SearchIndexer(
            ScanSource(transactions, self._encoder, push=sync.push_scanned),
            LessonSource(transactions, self._encoder, push=sync.push_lesson),
        )

    def _encoder(self) -> SentenceEncoder | None:
        """Return the encoder of the model that serves now, if it has one."""
        with self.analyzers.lend() as analyzer:
            return analyzer.encoder

    @cached_property
    def index_calls(self) -> IndexCalls | None:
        """Calls the index service; None without INDEXER_URL."""
        if not self.config.indexer_url:
            return None
        return IndexCalls(self.config, CallObservers(self.egress, self.tracing))

    @cached_property
    def index_sync(self) -> IndexSync | None:
        calls = self.index_calls
        return None if calls is None else IndexSync(self.transactions, calls)

    @cached_property
    def search(self) -> Search:
        return Search(self.transactions, lambda: self.analyzers, VectorCache(), self.index_calls)
