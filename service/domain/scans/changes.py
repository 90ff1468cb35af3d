"""What changed between two scans: which findings are new, the same or gone, and why.

Two findings are the same if their fingerprints are equal.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Session

from db import tables
from db.queries import scans as queries
from db.queries.documents import get_document, list_text, scan_before
from db.queries.reach import Reach, own
from db.tables import StoredText
from service.domain.document_storage import extracted_text
from service.domain.scans.causes import Cause, analysis_cause, count_sentences, model_of
from service.domain.scans.fingerprints import normalized
from service.errors import NotFound
from service.nlp.segmentation.segmenter import Segmenter


class Change(StrEnum):
    """How a finding compares with the earlier scan."""

    NEW = "new"
    SAME = "same"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class ChangedFinding:
    """A finding of either scan; `finding` or `since` is None if that scan lacks it.

    `n` is its number in the list of all. `cause` is None for the same finding, and if it is unknown.
    """

    n: int
    change: Change
    finding: tables.Finding | None
    since: tables.Finding | None
    cause: Cause | None = None

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the finding in either scan."""
        finding = self.finding or self.since
        return finding.fingerprint if finding else ""


@dataclass(frozen=True, slots=True)
class ScanChanges:
    """A page of the findings of a scan in order, each new or the same, then of those that are gone.

    The counts are those of all pages.
    """

    scan: tables.Scan
    since: tables.Scan | None
    findings: Sequence[ChangedFinding]
    n_same: int

    @property
    def n_new(self) -> int:
        """How many findings the earlier scan lacks."""
        return self.scan.n_findings - self.n_same

    @property
    def n_gone(self) -> int:
        """How many findings only the earlier scan has."""
        return self.since.n_findings - self.n_same if self.since else 0

    @property
    def document_changed(self) -> bool:
        """Whether the documents differ; scans without a stored hash differ unless they share a document."""
        if self.since is None:
            return False
        if self.scan.document_id is not None and self.scan.document_id == self.since.document_id:
            return False
        hashes = {self.scan.document_sha256, self.since.document_sha256}
        return len(hashes) > 1 or hashes == {""}

    @property
    def model_changed(self) -> bool:
        """Whether another model, or another version of it, analyzed the document."""
        return self.since is not None and model_of(self.scan) != model_of(self.since)

    @property
    def sensitivity_changed(self) -> bool:
        """Whether the scans used different operating points."""
        return self.since is not None and self.scan.sensitivity != self.since.sensitivity


def compare(
    session: Session,
    reach: Reach,
    scan_id: UUID,
    *,
    since_id: UUID | None,
    after_n: int,
    limit: int,
    segmenter: Segmenter,
) -> ScanChanges:
    """Compare a scan in reach with an earlier one in reach.

    Without `since_id`, that is the scan before it of any version of its document; if there is none, all
    findings are new. Returns up to `limit` findings numbered above `after_n`.

    Raises:
        NotFound: there is no such scan, or the two have different owners.
    """
    scan = queries.get_scan(session, scan_id, reach)
    if scan is None:
        raise NotFound("There is no scan with this id that you may read.")
    if since_id is None:
        since = scan_before(session, scan, reach)
    else:
        since = queries.get_scan(session, since_id, reach)
    if since_id is not None and (since is None or since.user_id != scan.user_id):
        raise NotFound("The owner of this scan has no scan with the id in `since`.")
    n_same = queries.count_same_findings(session, scan.id, since.id) if since else 0
    changes = ScanChanges(scan, since, (), n_same)
    found = _new_and_same(session, scan, since, after_n=after_n, limit=limit)
    if since is not None and len(found) < limit:
        after = max(0, after_n - scan.n_findings)
        found += _gone(session, scan, since, after_n=after, limit=limit - len(found))
    return replace(changes, findings=_with_causes(session, changes, found, segmenter))


def _new_and_same(
    session: Session, scan: tables.Scan, since: tables.Scan | None, *, after_n: int, limit: int
) -> list[ChangedFinding]:
    findings = queries.list_findings(session, scan.id, after_n=after_n, limit=limit)
    digests = [finding.fingerprint for finding in findings]
    before = queries.findings_by_fingerprint(session, since.id, digests) if since else {}
    return [
        ChangedFinding(
            finding.n,
            Change.SAME if finding.fingerprint in before else Change.NEW,
            finding,
            before.get(finding.fingerprint),
        )
        for finding in findings
    ]


def _gone(
    session: Session, scan: tables.Scan, since: tables.Scan, *, after_n: int, limit: int
) -> list[ChangedFinding]:
    rows = queries.list_findings_without_same(
        session, since.id, scan.id, after_n=after_n, limit=limit
    )
    return [ChangedFinding(scan.n_findings + row.n, Change.GONE, None, row) for row in rows]


def _with_causes(
    session: Session,
    changes: ScanChanges,
    findings: Sequence[ChangedFinding],
    segmenter: Segmenter,
) -> list[ChangedFinding]:
    scan, since = changes.scan, changes.since
    changed = [item for item in findings if item.change != Change.SAME]
    if since is None or not changed:
        return [*findings]
    by_analysis = analysis_cause(scan, since)
    causes: dict[int, Cause | None] = dict.fromkeys((item.n for item in changed), by_analysis)
    if changes.document_changed:
        wanted = {normalized(_sentence(item)) for item in changed}
        now, before = (_counts(session, of, wanted, segmenter) for of in (scan, since))
        for item in changed:
            causes[item.n] = _cause(item, by_analysis, now, before)
    return [replace(item, cause=causes.get(item.n)) for item in findings]


def _cause(
    item: ChangedFinding,
    by_analysis: Cause,
    now: Mapping[str, int] | None,
    before: Mapping[str, int] | None,
) -> Cause | None:
    """Return the cause from how often each document has the sentence; None for a text that is not stored."""
    if now is None or before is None:
        return Cause.DOCUMENT if by_analysis == Cause.OTHER else None
    sentence = normalized(_sentence(item))
    own, other = (now, before) if item.change == Change.NEW else (before, now)
    is_in_both = other.get(sentence, 0) >= max(1, own.get(sentence, 0))
    return by_analysis if is_in_both else Cause.DOCUMENT


def _counts(
    session: Session, scan: tables.Scan, wanted: Collection[str], segmenter: Segmenter
) -> Mapping[str, int] | None:
    """Return how often a scan's document has each sentence; None if its text is not stored."""
    if scan.document_id is None:
        return None
    document = get_document(session, scan.document_id, own(scan.user_id))
    if document is None or document.text_stored != StoredText.FULL:
        return None
    extracted = extracted_text(document, list_text(session, document.id))
    return count_sentences(extracted, wanted, segmenter)


def _sentence(item: ChangedFinding) -> str:
    finding = item.finding or item.since
    return finding.context if finding else ""
