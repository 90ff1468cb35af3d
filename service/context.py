"""What a running application holds, and how a view reaches it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from flask import current_app

from service.accounts import Accounts
from service.config import Config
from service.feedback import Reviews
from service.metrics import Metrics
from service.models import Models
from service.quotas import Quota
from service.readiness import Readiness
from service.rollout import Rollout
from service.scanner import Scanner
from service.scans import Scans
from service.shadow import Shadow
from service.store import Store
from service.tokens import TokenMaker

EXTENSION = "riskscan"


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one process, wired by create_app."""

    config: Config
    store: Store
    tokens: TokenMaker
    accounts: Accounts
    scanner: Scanner
    scans: Scans
    reviews: Reviews
    models: Models
    rollout: Rollout | None
    shadow: Shadow
    metrics: Metrics
    readiness: Readiness
    login_quota: Quota
    scan_quota: Quota
    draining: threading.Event

    def close(self) -> None:
        """Release the models, their threads and the database connections."""
        if self.rollout is not None:
            self.rollout.close()
        self.shadow.close()
        self.readiness.close()
        self.scanner.close()
        self.store.close()


def services() -> Services:
    """Return the parts of the application that answers the current request."""
    found: Services = current_app.extensions[EXTENSION]
    return found
