"""Scans the documents of a block into the service's database, by the use case of `POST /api/scan`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from db.queries import scans as queries
from service.domain.preferences import Preferences
from service.domain.services import Services, build_services
from service.errors import DatabaseUnavailable, Overloaded, StorageUnavailable
from service.jobs.bulk.documents import SourceDocument, digest
from service.jobs.bulk.scanner import BlockScanner, WorkerOptions, deadline_of, submission_of
from service.jobs.bulk.tables import stored_row
from service.nlp.analyzers.factory import open_model
from service.nlp.analyzers.pool import AnalyzerPool

RETRY_FOR_S = 120.0
"""How long a worker waits for a database that is away, before the run ends."""
_MAX_NAME_CHARS = 255


@dataclass(frozen=True, slots=True)
class Owner:
    """The user to whom the documents will belong, with the user's settings."""

    user_id: UUID
    preferences: Preferences


def open_stored_scanner(options: WorkerOptions, owner: Owner) -> BlockScanner:
    """Load the model, and return a scanner that stores document, scan and findings.

    Each document has an idempotency key: one that was stored before, by an earlier run or another worker,
    is not scanned again.

    Raises:
        ArtifactError: the model's folder is missing or altered.
    """
    analyzer = open_model(options.config, options.model_folder, n_threads=1)
    model = f"{analyzer.model_name}/{analyzer.model_version}"
    services = build_services(options.config, analyzers=AnalyzerPool(analyzer))
    storing = _Storing(services, options, owner, model)

    def close() -> None:
        services.close()
        analyzer.close()

    return BlockScanner(storing.scan, n_threads=options.n_threads, close=close)


@dataclass(frozen=True, slots=True)
class _Storing:
    services: Services
    options: WorkerOptions
    owner: Owner
    model: str

    def scan(self, document: SourceDocument) -> dict[str, Any]:
        """Scan a document and store the result, unless it is stored already."""
        for attempt in _attempts():
            with attempt:
                self._store(document)
        return stored_row(document)

    def _store(self, document: SourceDocument) -> None:
        key = self._key(document)
        if self.services.transactions.read(queries.has_key, self.owner.user_id, key):
            return
        submission = submission_of(document, self.options)
        name = (document.name or document.id).replace("\\", "/").rsplit("/", 1)[-1]
        shown = "".join(c for c in name if c.isprintable())[-_MAX_NAME_CHARS:]
        self.services.scans.create(
            self.owner.user_id,
            replace(submission, filename=shown or None),
            key=key,
            deadline=deadline_of(self.options),
            preferences=self.owner.preferences,
        )

    def _key(self, document: SourceDocument) -> str:
        """Return the key of a document's scan: another model or sensitivity makes another scan of it."""
        scan = f"{document.sha256}\0{self.model}\0{self.options.sensitivity}"
        return f"bulk-{digest(document.id, scan).hex()}"


def _attempts() -> Retrying:
    return Retrying(
        retry=retry_if_exception_type((DatabaseUnavailable, StorageUnavailable, Overloaded)),
        stop=stop_after_delay(RETRY_FOR_S),
        wait=wait_random_exponential(max=10),
        reraise=True,
    )
