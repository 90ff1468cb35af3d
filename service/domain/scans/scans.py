"""Use cases of stored scans: create with findings and an audit event, read, list, delete."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Protocol
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db import tables
from db.error_codes import is_duplicate, is_missing_parent
from db.queries import scans as queries
from db.queries.documents import forget_scan, get_document, list_text
from db.queries.reach import Reach, own
from db.tables import StoredText
from service.domain.audit import UNKNOWN, Action, Actor, event, record
from service.domain.current_scan import CurrentScan, scanning
from service.domain.document_storage import TextPolicy, extracted_text, text_policy
from service.domain.idempotency_keys import claim_for_scan, scan_of_key
from service.domain.limits import COUNTED_SCANS
from service.domain.preferences import Preferences
from service.domain.scans.options import ScanOptions
from service.domain.scans.storage import (
    FINDING_FIELDS,
    NO_DOCUMENT,
    Also,
    NewScan,
    Request,
    Work,
    new_scan,
    store,
    store_again,
    store_version,
    store_with,
    with_original,
)
from service.domain.stored_labels import check_labels
from service.domain.stored_text import check_text_is_stored
from service.domain.transactions import Transactions
from service.errors import Conflict, NotFound, Unauthenticated
from service.nlp.deadline import Deadline
from service.nlp.document import ExtractedText, Finding
from service.nlp.observer import NULL_OBSERVER, Observer, observe_stage
from service.nlp.pipeline import ScanPipeline, ScanResult, Submission
from service.nlp.taxonomy import Taxonomy

_NO_PREFERENCES = Preferences()


class KeepOriginal(Protocol):
    """Stores the bytes of a user's upload, and removes them if the block that stores their row fails."""

    def __call__(self, user_id: UUID, data: bytes, /) -> AbstractContextManager[None]: ...


class ReportScan(Protocol):
    """Reports a scan once it is stored."""

    def __call__(self, result: ScanResult, *, duration_s: float, scan_id: UUID) -> None: ...


@dataclass(frozen=True, slots=True)
class ScanPage:
    """A page of scans; `next_after` is the position of the last one if more follow.

    `total` is None for a page after a position.
    """

    scans: Sequence[tables.Scan]
    next_after: tuple[datetime, UUID] | None
    total: queries.Total | None


@dataclass(frozen=True, slots=True)
class StoredScan:
    """A stored scan; `data` has its findings in the three keys of the older contract, in document order."""

    scan: tables.Scan
    data: list[dict[str, str]]


class Scans:
    """Scans documents and stores the results; the analysis runs before the transaction that stores it."""

    def __init__(
        self,
        transactions: Transactions,
        pipeline: ScanPipeline,
        *,
        secret_key: str,
        store_text: str = StoredText.FULL,
        sample_share: float = 0.0,
        keep_original: KeepOriginal,
        observer: Observer = NULL_OBSERVER,
        report: ReportScan,
    ) -> None:
        """`store_text` is the setting STORE_TEXT, `sample_share` REVIEW_SAMPLE_SHARE.

        `secret_key` signs the hashes of requests, so that nobody can find a short text by trying texts.
        `keep_original` stores the bytes of an upload while a block stores their row; `report` receives each
        stored scan.
        """
        self._transactions = transactions
        self._pipeline = pipeline
        self._secret_key = secret_key.encode()
        self._store_text = store_text
        self._sample_share = sample_share
        self._keep_original = keep_original
        self._observer = observer
        self._report = report

    def create(
        self,
        user_id: UUID,
        submission: Submission,
        *,
        key: str | None,
        version_of: UUID | None = None,
        deadline: Deadline | None = None,
        preferences: Preferences = _NO_PREFERENCES,
        also: Also | None = None,
    ) -> StoredScan:
        """Scan a document and store document, scan, findings and audit event in one transaction.

        If this user has already used the idempotency `key`, return the stored scan. The document is the next
        version of `version_of`, if given. The scan ends by `deadline`, else AI_TIMEOUT_S; `also` runs last.

        Raises:
            NotFound: the user has no document `version_of`.
            TooLarge, StorageUnavailable: the original is to be stored, and cannot be.
            Conflict: the key was used with other content or for a batch, or the document is a version of a
                third one.
            Unauthenticated: the account was deleted meanwhile.
            DatabaseUnavailable: see Transactions.run.
            The errors of ScanPipeline.scan, and whatever `also` raises.
        """
        began_s = time.monotonic()
        request = self._request(key, lambda: f"{submission.fingerprint()} {version_of or ''}")
        if earlier := self._earlier(user_id, request):
            return earlier
        work = self._work(user_id, version_of, also)
        submission = submission.with_defaults(preferences.defaults)
        policy = text_policy(self._store_text, preferences.store_text)
        scan_id = uuid_utils.compat.uuid7()
        with scanning(scan_id, user_id) as current:
            result = self._pipeline.scan(submission, deadline=deadline)
            new = new_scan(scan_id, user_id, submission, result, policy=policy, request=request)
            if preferences.store_original and policy.stored == StoredText.FULL:
                new = with_original(new, submission.data)
            return self._stored(work, new, result, current, began_s=began_s)

    def scan_again(
        self,
        user_id: UUID,
        document_id: UUID,
        options: ScanOptions,
        *,
        key: str | None,
    ) -> StoredScan:
        """Scan the stored text of a user's document with the serving model, and store the scan.

        Raises:
            NotFound: the user has no such document, its text is not stored, or it was deleted meanwhile.
            Conflict, Unauthenticated, DatabaseUnavailable: as in `create`.
            The errors of ScanPipeline.scan.
        """
        began_s = time.monotonic()
        request = self._request(key, lambda: options.fingerprint(document_id))
        if earlier := self._earlier(user_id, request):
            return earlier
        document, extracted = self._transactions.read(_stored_text, user_id, document_id)
        submission = options.document_submission(document, extracted)
        submission = submission.with_defaults(options.preferences.defaults)
        policy = TextPolicy(StoredText.FULL)  # the text is stored already
        scan_id = uuid_utils.compat.uuid7()
        with scanning(scan_id, user_id) as current:
            result = replace(
                self._pipeline.scan(submission),
                document_sha256=document.sha256 or "",
                media_type=document.media_type,
                size_bytes=document.size_bytes,
            )
            new = new_scan(scan_id, user_id, submission, result, policy=policy, request=request)
            return self._stored(store_again, new, result, current, began_s=began_s)

    def has_key(self, user_id: UUID, key: str) -> bool:
        """Return whether this user stored a scan with the idempotency `key`.

        For equal content `create` returns that scan.
        """
        return self._transactions.read(queries.has_key, user_id, key)

    def check_key(self, user_id: UUID, key: str) -> None:
        """Raise Conflict if this user has used the idempotency `key` for a batch."""
        self._transactions.read(scan_of_key, user_id, key)

    def _work(self, user_id: UUID, version_of: UUID | None, also: Also | None) -> Work:
        """Return what stores the scan of a new document; NotFound if there is no document `version_of`."""
        work: Work = store
        if version_of is not None:
            self._transactions.read(_document, user_id, version_of)
            work = partial(store_version, version_of=version_of)
        return work if also is None else partial(store_with, work, also)

    def _stored(
        self,
        work: Work,
        new: NewScan,
        result: ScanResult,
        current: CurrentScan,
        *,
        began_s: float,
    ) -> StoredScan:
        """Store a new scan by `work` and report it, or return the concurrent one that has its key."""
        new = replace(new, sent=current.sent_events())
        new.draw_sample(result, share=self._sample_share)
        try:
            with observe_stage(self._observer, "store"):
                scan = self._store(work, new)
        except IntegrityError as error:
            if is_missing_parent(error):
                raise Unauthenticated("This account was deleted meanwhile.") from error
            # A concurrent request with the same key stored its scan first.
            request = Request(new.values["idempotency_key"], new.values["request_sha256"])
            if is_duplicate(error) and (earlier := self._earlier(new.values["user_id"], request)):
                return earlier
            raise
        current.is_stored = True
        self._report(result, duration_s=time.monotonic() - began_s, scan_id=scan.id)
        return StoredScan(scan, result.data())

    def _store(self, work: Work, new: NewScan) -> tables.Scan:
        if new.values["idempotency_key"] is not None:
            work = partial(_claim_key, work)
        if new.original is None:
            return self._transactions.run(work, new)
        with self._keep_original(new.values["user_id"], new.original):
            return self._transactions.run(work, new)

    def _request(self, key: str | None, fingerprint: Callable[[], str]) -> Request:
        if key is None:
            return Request()
        digest = hmac.new(self._secret_key, fingerprint().encode(), hashlib.sha256)
        return Request(key, digest.hexdigest())

    def _earlier(self, user_id: UUID, request: Request) -> StoredScan | None:
        """Return the scan that was stored with the request's key; Conflict if its content was different."""
        if request.key is None:
            return None
        earlier = self._transactions.read(
            _scan_by_key, user_id, request.key, taxonomy=self._pipeline.taxonomy
        )
        # Scans from before hashes were signed have none.
        if earlier is not None and earlier.scan.request_sha256 not in {None, request.sha256}:
            raise Conflict("This Idempotency-Key was used with other content; send a new key.")
        return earlier


def _claim_key(work: Work, session: Session, new: NewScan) -> tables.Scan:
    """Store a scan by `work`, unless a batch took its idempotency key while the document was scanned."""
    claim_for_scan(session, new.values["user_id"], new.values["idempotency_key"])
    return work(session, new)


def get_scan(session: Session, reach: Reach, scan_id: UUID, *, taxonomy: Taxonomy) -> StoredScan:
    """Return a scan; NotFound if it is not in reach.

    `taxonomy` gives the titles.
    """
    scan = queries.get_scan(session, scan_id, reach)
    if scan is None:
        raise _not_found()
    return _with_findings(session, scan, taxonomy)


def list_scans(
    session: Session,
    reach: Reach,
    filters: queries.ScanFilter,
    *,
    taxonomy: Taxonomy,
    per_page: int,
    after: tuple[datetime, UUID] | None,
    page: int = 1,
) -> ScanPage:
    """Return scans in reach: those after a position, else a page.

    Newest first. Only a numbered page has the total, which is exact up to COUNTED_SCANS.

    Raises:
        InvalidRequest: neither `taxonomy` nor any finding has the category or risk type of `filters`.
    """
    check_labels(session, taxonomy, category=filters.category, risk_type=filters.risk_type)
    if after is None:
        return _numbered_page(session, reach, filters, page=page, per_page=per_page)
    rows = queries.list_scans(session, reach, filters, limit=per_page + 1, after=after)
    return _page(rows, per_page, total=None)


def delete_scan(
    session: Session, user_id: UUID, scan_id: UUID, *, reason: str | None = None
) -> list[str]:
    """Delete a user's scan with its findings, and its document if no other scan has it.

    `reason` says why the service deletes it; without one, its owner does. Returns the hash of the document's
    original if both were deleted. Raises NotFound as `get_scan` does.
    """
    originals = remove_scan(session, user_id, scan_id)
    deleted = event(
        Action.SCAN_DELETED,
        actor=UNKNOWN if reason else Actor(user_id),
        object_type="scan",
        object_id=scan_id,
        detail={"reason": reason} if reason else None,
    )
    record(session, deleted)
    return originals


def remove_scan(session: Session, user_id: UUID, scan_id: UUID) -> list[str]:
    """Do as `delete_scan` does, but leave the audit event to the caller."""
    scan = queries.get_scan(session, scan_id, own(user_id))
    if scan is None or not queries.delete_scan(session, scan_id, user_id):
        raise _not_found()
    original = None if scan.document_id is None else forget_scan(session, scan.document_id)
    return [original] if original else []


def _document(session: Session, user_id: UUID, document_id: UUID) -> tables.Document:
    document = get_document(session, document_id, own(user_id))
    if document is None:
        raise NotFound(NO_DOCUMENT)
    return document


def _stored_text(
    session: Session, user_id: UUID, document_id: UUID
) -> tuple[tables.Document, ExtractedText]:
    document = _document(session, user_id, document_id)
    check_text_is_stored(document)
    return document, extracted_text(document, list_text(session, document_id))


def _scan_by_key(
    session: Session, user_id: UUID, key: str, *, taxonomy: Taxonomy
) -> StoredScan | None:
    scan = scan_of_key(session, user_id, key)
    return None if scan is None else _with_findings(session, scan, taxonomy)


def _with_findings(session: Session, scan: tables.Scan, taxonomy: Taxonomy) -> StoredScan:
    rows = queries.list_findings(session, scan.id)
    return StoredScan(scan, [_finding(row).data_item(taxonomy) for row in rows])


def _numbered_page(
    session: Session,
    reach: Reach,
    filters: queries.ScanFilter,
    *,
    page: int,
    per_page: int,
) -> ScanPage:
    offset = (page - 1) * per_page
    rows = queries.list_scans_page(session, reach, filters, limit=per_page + 1, offset=offset)
    n_seen = offset + len(rows) if rows else 0
    if len(rows) <= per_page and (rows or page == 1):
        total = queries.Total(n_seen, is_exact=True)  # this is the last page
    else:
        total = queries.count_scans(session, reach, filters, at_most=COUNTED_SCANS)
        if n_seen > total.n:  # the page reaches beyond the counted scans
            total = queries.Total(n_seen, is_exact=False)
    return _page(rows, per_page, total=total)


def _page(rows: Sequence[tables.Scan], per_page: int, *, total: queries.Total | None) -> ScanPage:
    shown = rows[:per_page]
    has_more = len(rows) > per_page
    return ScanPage(shown, (shown[-1].created_at, shown[-1].id) if has_more else None, total)


def _not_found() -> NotFound:
    return NotFound("There is no scan with this id that you may read.")


def _finding(row: tables.Finding) -> Finding:
    return Finding(**{name: getattr(row, name) for name in FINDING_FIELDS})
