"""Stored scans of users: kept with their findings and an event, listed, deleted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db import tables
from db.error_codes import is_duplicate, is_missing_parent
from db.queries import scans as queries
from db.queries.audit import Event
from service.domain.audit import Action, Actor, event, record
from service.domain.group_commit import Combiner
from service.domain.limits import COUNTED_SCANS
from service.domain.transactions import Transactions
from service.errors import Conflict, DatabaseUnavailable, NotFound, Unauthenticated
from service.nlp.document import Finding
from service.nlp.observer import NULL_OBSERVER, Observer, observe_stage
from service.nlp.pipeline import ScanPipeline, ScanResult, Submission

SHARED_FINDINGS = 100
"""A scan with more findings is stored in a transaction of its own: smaller ones need not wait for it."""


class ReportScan(Protocol):
    """Reports a scan once it is stored."""

    def __call__(self, result: ScanResult, *, duration_s: float, scan_id: UUID) -> None: ...


@dataclass(frozen=True, slots=True)
class ScanPage:
    """Some of a user's scans; `next_after` is the position of the last one when more follow.

    `total` is None for a page after a position.
    """

    scans: Sequence[tables.Scan]
    next_after: tuple[datetime, UUID] | None
    total: queries.Total | None


class Scans:
    """The stored scans of users."""

    def __init__(
        self,
        transactions: Transactions,
        scanner: ScanPipeline,
        *,
        observer: Observer = NULL_OBSERVER,
        report: ReportScan,
    ) -> None:
        """`report` receives each scan once it is stored."""
        self._transactions = transactions
        self._scanner = scanner
        self._observer = observer
        self._report = report
        self._kept = Combiner(self._keep, common=DatabaseUnavailable)

    def create(self, user_id: UUID, submission: Submission, *, key: str | None) -> tables.Scan:
        """Scan a document and store scan, findings and audit event in one transaction.

        Scans of one user that are ready at the same time share the transaction.

        If this user has already used the idempotency `key`, return the stored scan.

        Raises:
            Conflict: the key was used with other content.
            Unauthenticated: the account was deleted meanwhile.
            DatabaseUnavailable: nothing was stored; and whatever ScanPipeline.scan raises.
        """
        began_s = time.monotonic()
        request_sha256 = submission.fingerprint() if key else None
        if key and (earlier := self._earlier(user_id, key, request_sha256)):
            return earlier
        result = self._scanner.scan(submission)
        scan = _new_scan(user_id, submission, result, key=key, request_sha256=request_sha256)
        try:
            with observe_stage(self._observer, "store"):
                if len(scan.findings) > SHARED_FINDINGS:
                    [stored] = self._keep(user_id, [scan])
                else:
                    stored = self._kept.do(user_id, scan)
        except IntegrityError as error:
            if is_missing_parent(error):
                raise Unauthenticated("This account was deleted meanwhile.") from error
            if is_duplicate(error) and (earlier := self._twin(user_id, scan)):
                return earlier
            raise
        self._report(result, duration_s=time.monotonic() - began_s, scan_id=stored.id)
        return stored

    def n_waiting(self, user_id: UUID) -> int:
        """Return how many scans of a user wait while others are stored; -1 if none is being stored."""
        return self._kept.n_waiting(user_id)

    def get(self, owner_id: UUID | None, scan_id: UUID) -> tables.Scan:
        """Return a scan of this owner, or of anyone if None; NotFound if there is none."""
        scan = self._own(owner_id, scan_id)
        if scan is None:
            raise _not_found()
        return scan

    def list(
        self,
        owner_id: UUID | None,
        chosen: queries.ScanFilter,
        *,
        per_page: int,
        after: tuple[datetime, UUID] | None,
        page: int = 1,
    ) -> ScanPage:
        """Return scans of this owner, or of everyone if None: those after a position, else a page.

        Newest first. Only a numbered page has the total, which is exact up to COUNTED_SCANS.
        """

        def work(session: Session) -> ScanPage:
            if after is not None:
                found = queries.list_scans(
                    session, owner_id, chosen, limit=per_page + 1, after=after
                )
                return _page_of(found, per_page, total=None)
            return _numbered_page(session, owner_id, chosen, page=page, per_page=per_page)

        return self._transactions.run(work)

    def delete(self, user_id: UUID, scan_id: UUID) -> None:
        """Delete a user's scan with its findings; NotFound as in `get`."""
        found = False

        def work(session: Session) -> None:
            nonlocal found
            if not queries.has_any_scan(session, [scan_id], user_id):
                if found:
                    return  # an earlier run deleted it; only the answer to its commit was lost
                raise _not_found()
            queries.delete_scan(session, scan_id)
            found = True
            record(
                session,
                event(
                    Action.SCAN_DELETED, actor=Actor(user_id), object_type="scan", object_id=scan_id
                ),
            )

        self._transactions.run(work)

    def _keep(self, user_id: UUID, new: Sequence[_NewScan]) -> Sequence[tables.Scan]:
        """Store a user's scans in one transaction, each with its findings and its event."""
        is_first = True

        def work(session: Session) -> list[tables.Scan]:
            nonlocal is_first
            # An earlier run whose commit's answer was lost may have stored them, all or none.
            are_stored = not is_first and _are_stored(session, user_id, new)
            is_first = False
            if not are_stored:
                queries.add_scans(session, [(scan.values, scan.findings) for scan in new])
                record(session, *(scan.event for scan in new))
            return [tables.Scan(**scan.values) for scan in new]

        return self._transactions.run(work)

    def _twin(self, user_id: UUID, new: _NewScan) -> tables.Scan | None:
        """Return the stored scan with the id or the key of `new`."""
        key, request_sha256 = new.values["idempotency_key"], new.values["request_sha256"]
        earlier = self._own(user_id, new.values["id"])
        if earlier is None and key:
            earlier = self._earlier(user_id, key, request_sha256)
        return earlier

    def _own(self, owner_id: UUID | None, scan_id: UUID) -> tables.Scan | None:
        return self._transactions.run(lambda s: queries.scan_of_user(s, scan_id, owner_id))

    def _earlier(self, user_id: UUID, key: str, request_sha256: str | None) -> tables.Scan | None:
        scan = self._transactions.run(lambda s: queries.scan_by_key(s, user_id, key))
        if scan is not None and scan.request_sha256 != request_sha256:
            raise Conflict("This Idempotency-Key came with other content before; use a new key.")
        return scan


def _numbered_page(
    session: Session,
    owner_id: UUID | None,
    chosen: queries.ScanFilter,
    *,
    page: int,
    per_page: int,
) -> ScanPage:
    offset = (page - 1) * per_page
    found = queries.list_scans_page(session, owner_id, chosen, limit=per_page + 1, offset=offset)
    n_seen = offset + len(found) if found else 0
    if len(found) <= per_page and (found or page == 1):
        total = queries.Total(n_seen, is_exact=True)  # the last page tells it
    else:
        total = queries.count_scans(session, owner_id, chosen, at_most=COUNTED_SCANS)
        if n_seen > total.n:  # of older scans than were counted
            total = queries.Total(n_seen, is_exact=False)
    return _page_of(found, per_page, total=total)


def _page_of(
    found: Sequence[tables.Scan], per_page: int, *, total: queries.Total | None
) -> ScanPage:
    shown = found[:per_page]
    has_more = len(found) > per_page
    return ScanPage(shown, (shown[-1].created_at, shown[-1].id) if has_more else None, total)


def _not_found() -> NotFound:
    return NotFound("There is no scan with this id that you may read.")


def _are_stored(session: Session, user_id: UUID, new: Sequence[_NewScan]) -> bool:
    """Tell whether a transaction was committed: all of its scans, but for what was deleted since."""
    return queries.has_any_scan(session, [scan.values["id"] for scan in new], user_id)


@dataclass(frozen=True, slots=True)
class _NewScan:
    """A scan to be stored. Values, not model objects: a transaction that runs again needs fresh ones."""

    values: dict[str, Any]
    findings: list[dict[str, Any]]
    event: Event


def _new_scan(
    user_id: UUID,
    submission: Submission,
    result: ScanResult,
    *,
    key: str | None,
    request_sha256: str | None,
) -> _NewScan:
    scan_id, source = uuid_utils.compat.uuid7(), tables.Source(result.analysis.source)
    n_findings = len(result.analysis.findings)
    values = {
        "id": scan_id,
        "user_id": user_id,
        "filename": submission.filename,
        "data": result.data(),
        "source": source,
        "sensitivity": submission.sensitivity if source == tables.Source.MODEL else None,
        "created_at": datetime.now(UTC),
        "model_name": result.analysis.model_name,
        "model_version": result.analysis.model_version,
        "document_sha256": result.document_sha256,
        "coverage": result.coverage(),
        "n_findings": n_findings,
        "idempotency_key": key,
        "request_sha256": request_sha256,
    }
    made = event(
        Action.SCAN_CREATED,
        actor=Actor(user_id),
        object_type="scan",
        object_id=scan_id,
        detail={"source": source, "n_findings": n_findings},
    )
    return _NewScan(values, _finding_values(result.analysis.findings), made)


def _finding_values(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [
        {
            "n": n,
            "risk_type": f.risk_type,
            "category": f.category,
            "score": f.score,
            "context": f.context,
            "start": f.start,
            "end": f.end,
            "page": f.page,
            "foreign_risk": f.foreign_risk,
            "foreign_category": f.foreign_category,
        }
        for n, f in enumerate(findings, start=1)
    ]
