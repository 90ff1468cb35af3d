"""The container of one process's parts, for app, worker, commands and tests. It opens each when needed.

Imports no web framework.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from sqlalchemy.engine import make_url

from db.database import Database
from db.engines import open_unpooled_engine
from service.config.development_keys import with_development_keys
from service.config.settings import Config
from service.config.shipped_model import shipped_folders
from service.domain import blocks, originals
from service.domain.account_deletion import AccountDeletion
from service.domain.accounts.accounts import Accounts
from service.domain.accounts.password_links import PasswordLinks
from service.domain.accounts.tokens import TokenMaker
from service.domain.api_keys.api_keys import ApiKeys
from service.domain.api_keys.key_text import KeyMaker
from service.domain.audit_seals import AuditSeals
from service.domain.background_tasks import BackgroundTasks
from service.domain.blocks import Blocks
from service.domain.deployments.deployments import Deployments
from service.domain.deployments.drift_monitor import DriftMonitor
from service.domain.deployments.rollout import Rollout
from service.domain.deployments.shadow import Shadow
from service.domain.documents.scores import DocumentScores
from service.domain.egress.recorder import EgressRecorder, delete_old
from service.domain.file_scans import FileScans
from service.domain.files.files import FOLDER, Files
from service.domain.foreign_reads import ForeignReads
from service.domain.originals import Originals
from service.domain.periodic_tasks import PeriodicTasks
from service.domain.rate_limits import RateLimit
from service.domain.readiness import Readiness
from service.domain.reviews.export import FeedbackExport
from service.domain.reviews.reviews import Reviews
from service.domain.scan_reporter import ScanReporter
from service.domain.scans.retention import delete_old_scans
from service.domain.scans.scans import Scans
from service.domain.transactions import Transactions, open_database
from service.nlp.analyzers.base import SentenceScorer
from service.nlp.analyzers.factory import open_analyzers
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.artifacts.registry import Registry
from service.nlp.inference.default_model import default_folder
from service.nlp.pipeline import ScanPipeline, Submission
from service.nlp.taxonomy import Taxonomy
from service.observability.metrics import Metrics


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


class Services:
    """The parts of one process. Each opens when it is first read, so a command opens only what it uses.

    A process that serves calls `open`, upgrades the database, then calls `start`.
    """

    def __init__(
        self, config: Config, *, analyzers: AnalyzerPool | None, limit_statements: bool
    ) -> None:
        self.config = config
        self.draining = threading.Event()
        self._shared_analyzers = analyzers
        self._limit_statements = limit_statements

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
        for name, part in vars(type(self)).items():
            if isinstance(part, cached_property):
                getattr(self, name)

    def start(self) -> None:
        """Serve the model that was activated last, and start the threads. Needs an upgraded database."""
        if self.rollout is not None:
            self.rollout.start()
        self.readiness.start()
        self.background.start()
        self.clean_up.start()
        self.audit_sealing.start()
        self.block_refreshing.start()
        self.egress.start()
        self._connect_gauges()

    def close(self) -> None:
        """End the threads and close what is open: models and database connections."""
        parts = (
            "clean_up",
            "audit_sealing",
            "block_refreshing",
            "background",
            "rollout",
            "shadow",
            "readiness",
            "analyzers",
            "egress",
            "transactions",
        )
        for name in parts:
            part = vars(self).get(name)
            is_shared = name == "analyzers" and part is self._shared_analyzers
            if part is not None and not is_shared:
                part.close()

    @cached_property
    def transactions(self) -> Transactions:
        if self._limit_statements:
            return Transactions(
                open_database(self.config, pool_size=self.config.database_pool_size)
            )
        return Transactions(Database(open_unpooled_engine(self.config.database_url)))

    @cached_property
    def metrics(self) -> Metrics:
        return Metrics()

    @cached_property
    def tokens(self) -> TokenMaker:
        return TokenMaker(with_development_keys(self.config))

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(self.config, self.transactions, self.tokens)

    @cached_property
    def password_links(self) -> PasswordLinks:
        return PasswordLinks(with_development_keys(self.config), self.transactions)

    @cached_property
    def key_maker(self) -> KeyMaker:
        return KeyMaker(with_development_keys(self.config))

    @cached_property
    def api_keys(self) -> ApiKeys:
        max_keys = self.config.max_api_keys
        return ApiKeys(self.transactions, self.key_maker, max_keys=max_keys)

    @cached_property
    def login_quota(self) -> RateLimit:
        return self._quota(self.config.login_rate_limit, "LOGIN_RATE_LIMIT")

    @cached_property
    def scan_quota(self) -> RateLimit:
        return self._quota(self.config.scan_rate_limit, "SCAN_RATE_LIMIT")

    @cached_property
    def egress(self) -> EgressRecorder:
        return EgressRecorder(lambda: self.transactions)

    @cached_property
    def analyzers(self) -> AnalyzerPool:
        return self._shared_analyzers or open_analyzers(
            self.config, self.metrics, egress=self.egress
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
    def pipeline(self) -> ScanPipeline:
        return ScanPipeline(self.config, self.analyzers, observer=self.metrics)

    @cached_property
    def scans(self) -> Scans:
        return Scans(
            self.transactions,
            self.pipeline,
            secret_key=with_development_keys(self.config).secret_key,
            store_text=self.config.store_text,
            sample_share=self.config.review_sample_share,
            observer=self.metrics,
            keep_original=self.originals.keeping,
            report=self.scan_reporter.report,
        )

    @cached_property
    def files(self) -> Files:
        config = self.config
        return Files(
            self.transactions,
            config.data_dir / FOLDER,
            quota_bytes=config.user_quota_bytes,
            max_bytes=config.max_upload_bytes,
        )

    @cached_property
    def originals(self) -> Originals:
        folder = self.config.data_dir / originals.FOLDER
        return Originals(self.transactions, folder, quota_bytes=self.config.user_quota_bytes)

    @cached_property
    def document_scores(self) -> DocumentScores:
        timeout_s = self.config.ai_timeout_s
        return DocumentScores(self.transactions, lambda: self.pipeline, timeout_s=timeout_s)

    @cached_property
    def account_deletion(self) -> AccountDeletion:
        return AccountDeletion(self.transactions, self.files, self.originals)

    @cached_property
    def file_scans(self) -> FileScans:
        config = self.config
        return FileScans(
            self.files,
            lambda: self.scans,
            max_bytes=config.max_file_bytes,
            timeout_s=config.ai_timeout_s,
        )

    @cached_property
    def reviews(self) -> Reviews:
        return Reviews(self.transactions, self._extract_text)

    @cached_property
    def feedback_export(self) -> FeedbackExport:
        secret_key = with_development_keys(self.config).secret_key
        return FeedbackExport(self.transactions, secret_key=secret_key)

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
        return DriftMonitor(self.registry)

    @cached_property
    def background(self) -> BackgroundTasks:
        return BackgroundTasks(on_dropped=self.metrics.report_dropped)

    @cached_property
    def clean_up(self) -> PeriodicTasks:
        """Deletes old rows, and bytes that a crash left, in the background."""
        days = self.config.api_interaction_days
        return PeriodicTasks(
            "clean-up",
            {
                "scans": partial(delete_old_scans, self.transactions, self.originals.discard),
                "api_interactions": partial(delete_old, self.transactions, days=days),
                "files of deleted accounts": self.files.finish_removals,
                "unfinished uploads": self.files.remove_leftovers,
                "originals of deleted accounts": self.originals.finish_removals,
                "unfinished originals": self.originals.remove_leftovers,
            },
            every_s=3600,
        )

    @cached_property
    def blocks(self) -> Blocks:
        return Blocks(self.transactions)

    @cached_property
    def block_refreshing(self) -> PeriodicTasks:
        return PeriodicTasks("blocks", {"networks": self.blocks.refresh}, every_s=blocks.EVERY_S)

    @cached_property
    def foreign_reads(self) -> ForeignReads:
        return ForeignReads(self.transactions)

    @cached_property
    def audit_seals(self) -> AuditSeals:
        return AuditSeals(with_development_keys(self.config), self.transactions)

    @cached_property
    def audit_sealing(self) -> PeriodicTasks:
        every_s = self.config.audit_seal_every_s
        tasks = {"events": self.audit_seals.seal}
        return PeriodicTasks("audit-sealing", tasks, every_s=every_s, wait_s=every_s)

    @cached_property
    def scan_reporter(self) -> ScanReporter:
        return ScanReporter(self.background, self.metrics, self.drift, self.shadow)

    @cached_property
    def readiness(self) -> Readiness:
        return Readiness(self.transactions, self.analyzers, self.draining)

    def _extract_text(self, submission: Submission) -> str:
        """Return the text of a document; opens the pipeline only if a review needs it."""
        return self.pipeline.extract_text(submission)

    def _quota(self, rate: str, setting: str) -> RateLimit:
        storage_url = self.config.rate_limit_storage_url
        return RateLimit(rate, setting=setting, storage_url=storage_url)

    def _connect_gauges(self) -> None:
        """Give the gauges that are computed at scrape time their functions."""
        metrics, readiness = self.metrics, self.readiness
        metrics.ready.set_function(lambda: float(not readiness.report().faults))
        metrics.database_age.set_function(lambda: readiness.report().age_s)
        metrics.models.set_function(self._models_in_use)
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
        if self.config.llm_base_url:
            models["llm", self.config.llm_model, ""] = 1.0
        return models
