"""What a worker does with one item of a batch: claim it, scan it, and store the result with the item's end.

The scan runs outside of transactions, under a lease. One transaction stores document, scan, findings, audit
event and the item's end, and only if the claim is still the worker's own: so each item is done exactly once,
however many workers die, hang or lose the database.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import batch_queue as queue
from db.queries import settings
from db.queries.batch_queue import MAX_ATTEMPTS, ItemClaim
from db.tables import Batch, BatchItem, ItemState, Scan
from service.domain.batch_bytes import BatchBytes
from service.domain.batches.batches import Finished, finish
from service.domain.file_scans import FileScans
from service.domain.files.files import Files
from service.domain.preferences import preferences
from service.domain.scans.options import ScanOptions
from service.domain.scans.scans import Scans
from service.domain.transactions import Transactions
from service.errors import (
    AnalyzerTimeout,
    DatabaseUnavailable,
    NotFound,
    Overloaded,
    RateLimited,
    RiskscanError,
    ShuttingDown,
    Unavailable,
    WorkerLost,
)
from service.nlp.artifacts.operating_points import Sensitivity
from service.nlp.deadline import Deadline
from service.nlp.pipeline import Submission
from service.observability.logging import fields

CALLER = "batches"
"""All workers are one caller of the document readers, so that they never take the share of those who wait."""
_EXPIRED_AT_ONCE = 50
_MAX_DETAIL_CHARS = 1000
_DEFAULT_PAUSE_S = 5.0
_REMEDY = "ask the operator to raise BATCH_TIMEOUT_S"
# RateLimited comes from the document readers here, or from the LLM as LlmBudgetUsed; `_is_admitted` handles
# that of the scan quota.
_NOT_ITS_FAULT = (RateLimited, Overloaded, ShuttingDown, DatabaseUnavailable)
"""Errors after which an item waits again without having used an attempt."""
_log = logging.getLogger(__name__)


class ClaimLost(Exception):
    """The item is not the worker's any more: cancelled, given back, or claimed again after its lease."""


@dataclass(frozen=True, slots=True)
class Run:
    """An item that this process has claimed; `ended` is set once its result is not wanted any more."""

    item: BatchItem
    batch: Batch
    claim: ItemClaim
    ended: threading.Event = field(default_factory=threading.Event)


class BatchRuns:
    """Runs items. Thread-safe: several threads of a process may share it."""

    def __init__(
        self,
        transactions: Transactions,
        stored: BatchBytes,
        *,
        scans: Callable[[], Scans],
        files: Files,
        file_scans: FileScans,
        admit: Callable[[UUID], None],
        finished: Finished,
        lease_s: float,
        timeout_s: float,
    ) -> None:
        """`admit` counts a scan against its user's quota, or raises RateLimited."""
        self._transactions = transactions
        self._stored = stored
        self._scans = scans
        self._files = files
        self._file_scans = file_scans
        self._admit = admit
        self._finished = finished
        self._lease = timedelta(seconds=lease_s)
        self._timeout_s = timeout_s

    def count_waiting(self) -> int:
        """Return how many items workers could claim now."""
        return self._transactions.read(queue.count_waiting)

    def claim(self, worker: str) -> Run | None:
        """Claim the next item; None if nothing waits. An idle queue costs one query and no transaction."""
        if not self._transactions.read(queue.has_waiting):
            return None
        return self._transactions.run(_claim, worker, self._lease)

    def execute(self, run: Run) -> None:
        """Scan the item of a claim, and store what came of it.

        Raises:
            DatabaseUnavailable: what came of it cannot be stored; the item waits again after its lease.
        """
        try:
            if not self._is_admitted(run):
                return
            self._scan(run)
        except ClaimLost:
            _log.info("batch item dropped", extra=_fields(run))
        except RiskscanError as error:
            self._settle(run, error)
        except Exception as error:  # noqa: BLE001 - the edge of the task, which must leave no item running
            _log.error("batch item failed", exc_info=error, extra=_fields(run))
            self._settle(
                run, RiskscanError("The service failed on this document; its log says why.")
            )
        else:
            self._discard(run)

    def renew(self, runs: Collection[Run]) -> None:
        """Extend the leases of runs; end those whose claims are lost."""
        by_claim = {run.claim.claim_id: run for run in runs}
        if by_claim:
            claims = [run.claim for run in runs]
            held = self._transactions.run(queue.renew_claims, claims, lease=self._lease)
            for claim_id in by_claim.keys() - held:
                by_claim[claim_id].ended.set()

    def give_back(self, run: Run) -> None:
        """Let the item wait for another worker at once; its run stores nothing any more."""
        run.ended.set()
        self._transactions.run(queue.return_item, run.claim, counts=False)

    def release_expired(self) -> int:
        """Let items wait again whose worker died, or fail them after MAX_ATTEMPTS; return their number."""
        expired = self._transactions.read(queue.list_expired, limit=_EXPIRED_AT_ONCE)
        return sum(self._transactions.run(self._release_expired, item) for item in expired)

    def _is_admitted(self, run: Run) -> bool:
        """Count the item against the scan quota; if that is used up, all batches of its user wait."""
        try:
            self._admit(run.item.user_id)
        except RateLimited as error:
            _log.info("batch item not scanned", extra=_fields(run, code=error.code))
            of_user = run.item.user_id
            self._transactions.run(_put_back, run, error, counts=False, of_user=of_user)
            return False
        return True

    def _scan(self, run: Run) -> None:
        item, options = run.item, self._options(run)
        deadline = Deadline.in_background(self._timeout_s, remedy=_REMEDY, ended=run.ended)

        def end(session: Session, scan: Scan) -> None:
            self._end(session, run.claim, ItemState.DONE, scan_id=scan.id)

        if item.file_id is not None:
            file = self._files.get(item.user_id, item.file_id)
            version_of = item.document_id
            self._file_scans.scan(file, options, version_of=version_of, deadline=deadline, also=end)
            return
        self._scans().create(
            item.user_id,
            self._submission(item, options),
            key=None,
            version_of=item.document_id,
            deadline=deadline,
            preferences=options.preferences,
            also=end,
        )

    def _options(self, run: Run) -> ScanOptions:
        """Return how to scan: what the batch says, else the settings that its user has now."""
        said = {"sensitivity": run.batch.sensitivity, "force_llm": run.batch.force_llm}
        chosen = self._transactions.read(settings.get_settings, run.item.user_id)
        return ScanOptions(
            caller=CALLER,
            force_llm=bool(run.batch.force_llm),
            sensitivity=cast("Sensitivity", run.batch.sensitivity or "balanced"),
            silent_on=frozenset(name for name, value in said.items() if value is None),
            preferences=preferences(chosen),
        )

    def _submission(self, item: BatchItem, options: ScanOptions) -> Submission:
        if item.sha256 is None:
            raise NotFound("The bytes of this document were lost. Send it again.")
        data = self._stored.read(item.user_id, item.sha256)
        if item.name is None:
            return options.text_submission(data.decode("utf-8", "surrogatepass"))
        return options.bytes_submission(data, name=item.name, media_type=item.media_type)

    def _settle(self, run: Run, error: RiskscanError) -> None:
        """Let the item of a failed scan wait again, or fail it."""
        _log.info("batch item not scanned", extra=_fields(run, code=error.code))
        if isinstance(error, _NOT_ITS_FAULT):
            self._transactions.run(_put_back, run, error, counts=False)
        elif isinstance(error, Unavailable) and run.item.attempts < MAX_ATTEMPTS:
            self._transactions.run(_put_back, run, error, counts=True)
        else:
            with contextlib.suppress(ClaimLost):
                self._transactions.run(self._fail, run.claim, error)

    def _fail(self, session: Session, claim: ItemClaim, error: RiskscanError) -> None:
        detail = error.message[:_MAX_DETAIL_CHARS]
        self._end(session, claim, ItemState.FAILED, error_code=error.code, error_detail=detail)

    def _release_expired(self, session: Session, item: BatchItem) -> bool:
        claim = _claim_of(item)
        # Otherwise its worker has renewed the lease after all, or another process was faster.
        if not queue.lock_expired(session, claim):
            return False
        if item.attempts < MAX_ATTEMPTS:
            return queue.return_item(session, claim, counts=True)
        lost = WorkerLost(
            f"{MAX_ATTEMPTS} workers ended while they scanned this document. Split it, or ask the "
            "operator what ended them."
        )
        self._fail(session, claim, lost)
        return True

    def _end(self, session: Session, claim: ItemClaim, state: ItemState, **values: object) -> None:
        if not queue.end_item(session, claim, state, values):
            raise ClaimLost
        finish(session, claim.batch_id, self._finished)

    def _discard(self, run: Run) -> None:
        if run.item.sha256 is not None:
            with contextlib.suppress(RiskscanError):  # else the hourly clean-up removes them
                self._stored.discard(run.item.user_id, [run.item.sha256])


def _claim(session: Session, worker: str, lease: timedelta) -> Run | None:
    item = queue.claim_item(session, worker=worker, lease=lease)
    batch = None if item is None else session.get(Batch, item.batch_id)
    return None if item is None or batch is None else Run(item, batch, _claim_of(item))


def _claim_of(item: BatchItem) -> ItemClaim:
    if item.claim_id is None:
        raise ClaimLost
    return ItemClaim(item.id, item.batch_id, item.claim_id)


def _put_back(
    session: Session, run: Run, error: RiskscanError, *, counts: bool, of_user: UUID | None = None
) -> None:
    """Let an item wait again, and pause its batch, or all batches of a user."""
    if not queue.return_item(session, run.claim, counts=counts):
        return
    if isinstance(error, AnalyzerTimeout | ShuttingDown):
        return  # the other items need not wait
    seconds = error.retry_after_s or _DEFAULT_PAUSE_S
    queue.pause(session, run.item.batch_id, of_user=of_user, seconds=seconds)


def _fields(run: Run, **more: object) -> dict[str, dict[str, object]]:
    return fields(batch_id=str(run.item.batch_id), item_id=str(run.item.id), **more)
