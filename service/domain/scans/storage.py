"""The rows of a scan, and the transaction that stores document, scan, findings and audit event."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.orm import Session

from db import tables
from db.queries import documents
from db.queries import scans as queries
from db.queries.audit import Event
from db.queries.reach import own
from db.queries.samples import add_sample
from db.queries.users import lock_user
from service.domain.audit import Action, Actor, event, record
from service.domain.document_storage import NewDocument, TextPolicy, new_document
from service.domain.recall_sample import draw_sample
from service.domain.scans.carrying import carry_feedback
from service.domain.scans.fingerprints import fingerprints
from service.errors import Conflict, NotFound
from service.nlp.document import Finding
from service.nlp.pipeline import ScanResult, Submission

NO_DOCUMENT = "There is no document with this id that you may scan."
FINDING_FIELDS = tuple(field.name for field in dataclasses.fields(Finding))


@dataclass(frozen=True, slots=True)
class NewScan:
    """A scan to be stored, as values: each run of a transaction needs model objects of its own.

    `text` is the document's, None if only the analyzer could read it. `original` has the bytes of the upload
    if these are to be stored. `sent` are the events of what was sent to other servers for this scan.
    """

    document: NewDocument
    values: dict[str, Any]
    findings: list[dict[str, Any]]
    event: Event
    text: str | None
    sample: list[dict[str, Any]] = field(default_factory=list)
    original: bytes | None = None
    sent: Sequence[Event] = ()

    def draw_sample(self, result: ScanResult, *, share: float) -> None:
        """Add the random sample of sentences without a finding for reviewers."""
        sample = draw_sample(result, self.document.values, share=share)
        self.values["n_unflagged"] = sample.n_unflagged
        self.sample.extend(sample.rows)


Work = Callable[[Session, NewScan], tables.Scan]
"""Stores a scan in a transaction."""
Also = Callable[[Session, tables.Scan], None]
"""Writes more in the transaction that stores a scan; if it raises, nothing is stored."""


@dataclass(frozen=True, slots=True)
class Request:
    """The idempotency key of a request and the hash of its content, which recognize a repeated request."""

    key: str | None = None
    sha256: str | None = None


def new_scan(
    scan_id: UUID,
    user_id: UUID,
    submission: Submission,
    result: ScanResult,
    *,
    policy: TextPolicy,
    request: Request,
) -> NewScan:
    """Return a scan to be stored with its document, as far as `policy` allows."""
    source = tables.Source(result.analysis.source)
    created_at, findings = datetime.now(UTC), result.findings()
    document = new_document(user_id, result, name=submission.filename, policy=policy, at=created_at)
    values = {
        "id": scan_id,
        "user_id": user_id,
        "document_id": document.values["id"],
        "filename": submission.filename,
        "source": source,
        "sensitivity": submission.sensitivity if source == tables.Source.MODEL else None,
        "created_at": created_at,
        "model_name": result.analysis.model_name,
        "model_version": result.analysis.model_version,
        "document_sha256": document.values["sha256"] or "",
        "coverage": result.coverage(),
        "n_findings": len(findings),
        "idempotency_key": request.key,
        "request_sha256": request.sha256,
    }
    created = event(
        Action.SCAN_CREATED,
        actor=Actor(user_id),
        object_type="scan",
        object_id=scan_id,
        detail={"source": source, "n_findings": len(findings)},
    )
    text = None if result.extracted is None else result.extracted.text
    return NewScan(document, values, _finding_values(findings), created, text)


def with_original(new: NewScan, data: bytes | None) -> NewScan:
    """Return the scan with the bytes of its upload, which are stored too; `data` is None for a text."""
    if data is None:
        return new
    values = {**new.document.values, "original_sha256": new.document.values["sha256"]}
    return replace(new, document=replace(new.document, values=values), original=data)


def store(session: Session, new: NewScan) -> tables.Scan:
    """Store a scan with its document, and with the feedback that applies to it already.

    Raises:
        IntegrityError: the user is gone, or has a scan with the same idempotency key.
    """
    values = new.document.values
    is_new = documents.add_document(session, values, new.document.pieces)
    # Its id is that of a deleted document with the same bytes, of which later versions may be left.
    if is_new and documents.count_versions(session, values["series_id"]) > 1:
        documents.set_series(session, values["id"], uuid_utils.compat.uuid7())
    return _store(session, new, has_earlier=not is_new)


def store_version(session: Session, new: NewScan, *, version_of: UUID) -> tables.Scan:
    """Store a scan whose document is the next version of another, or one of its versions already.

    Raises:
        NotFound: the user has no such document.
        Conflict: the document is a version of a third one.
        IntegrityError: as in `store`.
    """
    user_id, values = new.document.values["user_id"], new.document.values
    lock_user(session, user_id)  # else two requests could count the same version
    named = documents.get_document(session, version_of, own(user_id))
    if named is None:
        raise NotFound(NO_DOCUMENT)
    known = documents.get_document(session, values["id"], own(user_id))
    series_id, version = named.series_id, documents.newest_version(session, named.series_id) + 1
    if known is not None and known.series_id != series_id:
        if documents.count_versions(session, known.series_id) > 1:
            raise Conflict(
                f"These bytes are a version of another document already: {known.id}. Name that one in "
                "document, or leave document out to scan it again."
            )
        documents.set_version(session, known, series_id=series_id, version=version)
    place = {"series_id": series_id, "version": version}
    documents.add_document(session, values | place, new.document.pieces)
    return _store(session, new, has_earlier=True)


def store_again(session: Session, new: NewScan) -> tables.Scan:
    """Store another scan of a stored document; raises as `store` does.

    Raises:
        NotFound: the document was deleted meanwhile; nothing of it may be stored again.
    """
    if not documents.count_scan(session, new.values["document_id"]):
        raise NotFound("This document was deleted while it was scanned.")
    return _store(session, new, has_earlier=True)


def store_with(work: Work, also: Also, session: Session, new: NewScan) -> tables.Scan:
    """Store a scan by `work`, then call `also`; raises what they raise."""
    scan = work(session, new)
    also(session, scan)
    return scan


def _store(session: Session, new: NewScan, *, has_earlier: bool) -> tables.Scan:
    queries.add_scan(session, new.values, new.findings)
    add_sample(session, new.values, new.sample, has_earlier=has_earlier)
    created = new.event
    if has_earlier and (n := carry_feedback(session, new.values, new.findings, new.text)):
        created = replace(created, detail={**created.detail, "n_carried": n})
    record(session, *new.sent, created)
    return tables.Scan(**new.values)


def _finding_values(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    numbered = enumerate(zip(findings, fingerprints(findings), strict=True), start=1)
    return [
        {"n": n, "fingerprint": digest} | {name: getattr(finding, name) for name in FINDING_FIELDS}
        for n, (finding, digest) in numbered
    ]
