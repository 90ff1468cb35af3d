"""The container: the parts of one running process."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from service.config.settings import Config
from service.domain.accounts.accounts import Accounts
from service.domain.accounts.tokens import TokenMaker
from service.domain.deployments.deployments import Deployments
from service.domain.deployments.rollout import Rollout
from service.domain.deployments.shadow import Shadow
from service.domain.rate_limits import RateLimit
from service.domain.readiness import Readiness
from service.domain.reviews.reviews import Reviews
from service.domain.scans.scans import Scans
from service.domain.transactions import Transactions
from service.nlp.pipeline import ScanPipeline
from service.observability.metrics import Metrics


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one process."""

    config: Config
    transactions: Transactions
    tokens: TokenMaker
    accounts: Accounts
    pipeline: ScanPipeline
    scans: Scans
    reviews: Reviews
    deployments: Deployments
    rollout: Rollout | None
    shadow: Shadow
    metrics: Metrics
    readiness: Readiness
    login_quota: RateLimit
    scan_quota: RateLimit
    draining: threading.Event

    def close(self) -> None:
        """Release the models, their threads and the database connections."""
        if self.rollout is not None:
            self.rollout.close()
        self.shadow.close()
        self.readiness.close()
        self.pipeline.close()
        self.transactions.close()
