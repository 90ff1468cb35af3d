"""Use case of the retention: deletes what is older than RETENTION_DAYS, or than its owner's shorter setting.

Scans go with findings and feedback, documents with the last of their scans, files of work sessions with
their bytes, sessions without any newer file, and batches that have ended. An audit event with the counts
precedes the deletion of a user's rows, so that a crash leaves nothing deleted without one; the next run
deletes the rest.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries.purge import Due, count_due, list_cutoffs
from service.domain.audit import UNKNOWN, Action, Actor, event, record
from service.domain.batch_removal import BatchRemoval
from service.domain.files.files import Files
from service.domain.files.retention import purge_files
from service.domain.originals import Originals
from service.domain.scans.retention import delete_scans
from service.domain.transactions import Transactions

_LOCK = "purge.lock"


class Purge:
    """Deletes what is past retention."""

    def __init__(
        self,
        transactions: Transactions,
        files: Files,
        originals: Originals,
        batches: BatchRemoval,
        *,
        days: int | None,
        data_dir: Path,
    ) -> None:
        """`days` is RETENTION_DAYS; a lock in `data_dir` lets one process purge at a time."""
        self._transactions = transactions
        self._files = files
        self._originals = originals
        self._batches = batches
        self._days = days
        self._data_dir = data_dir

    def due(self, user_id: UUID | None = None) -> Due:
        """Count what is past retention now, of one user or of all; changes nothing."""
        read = self._transactions.read
        return _total(
            read(count_due, owner, before) for owner, before in self._cutoffs(user_id).items()
        )

    def run(self, user_id: UUID | None = None, *, actor: Actor = UNKNOWN) -> Due:
        """Delete what is past retention, of one user or of all; wait for another process that does so.

        Raises:
            DatabaseUnavailable, StorageUnavailable: a part may be deleted; the next run deletes the rest.
        """
        with self._lock(fcntl.LOCK_EX):
            cutoffs = self._cutoffs(user_id)
            return _total(self._purge(owner, before, actor) for owner, before in cutoffs.items())

    def run_daily(self) -> int:
        """Do as `run` does, unless another process purges now; return the number of scans and files."""
        try:
            with self._lock(fcntl.LOCK_EX | fcntl.LOCK_NB):
                due = _total(
                    self._purge(owner, before, UNKNOWN)
                    for owner, before in self._cutoffs(None).items()
                )
        except BlockingIOError:
            return 0
        return due.scans + due.files

    def _cutoffs(self, user_id: UUID | None) -> Mapping[UUID, datetime]:
        now = datetime.now(UTC)
        cutoffs = self._transactions.read(list_cutoffs, days=self._days, now=now)
        return {
            owner: before
            for owner, before in cutoffs.items()
            if user_id is None or owner == user_id
        }

    def _purge(self, user_id: UUID, before: datetime, actor: Actor) -> Due:
        due = self._transactions.read(count_due, user_id, before)
        if not due.any:
            return due
        self._transactions.run(_record, user_id, due, before, actor)
        if due.scans:
            delete_scans(self._transactions, self._originals.discard, user_id, before=before)
        if due.files or due.sessions:
            purge_files(self._files, self._transactions, user_id, before)
        if due.batches:
            self._batches.purge(user_id, before)
        return due

    @contextlib.contextmanager
    def _lock(self, operation: int) -> Iterator[None]:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        with (self._data_dir / _LOCK).open("a") as file:
            fcntl.flock(file, operation)
            yield


def _record(session: Session, user_id: UUID, due: Due, before: datetime, actor: Actor) -> None:
    detail = {**asdict(due), "created_before": before.isoformat()}
    purged = event(
        Action.DATA_PURGED, actor=actor, object_type="user", object_id=user_id, detail=detail
    )
    record(session, purged)


def _total(counts: Iterator[Due]) -> Due:
    total = dict.fromkeys(asdict(Due()), 0)
    for due in counts:
        for name, n in asdict(due).items():
            total[name] += n
    return Due(**total)
