"""What changed between two scans: which findings are new, the same or gone, and what else differs.

A finding is the same if its fingerprint is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Session

from db import tables
from db.queries import scans as queries
from db.queries.documents import scan_before
from service.errors import NotFound


class Change(StrEnum):
    """How a finding compares with the earlier scan."""

    NEW = "new"
    SAME = "same"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class ChangedFinding:
    """A finding of either scan; `finding` or `since` is None if that scan lacks it."""

    change: Change
    fingerprint: str
    finding: tables.Finding | None
    since: tables.Finding | None


@dataclass(frozen=True, slots=True)
class ScanChanges:
    """The findings of a scan in order, each new or the same, then those of the earlier scan that are gone."""

    scan: tables.Scan
    since: tables.Scan | None
    findings: Sequence[ChangedFinding]

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
        return self.since is not None and _model(self.scan) != _model(self.since)

    @property
    def sensitivity_changed(self) -> bool:
        """Whether the scans used different operating points."""
        return self.since is not None and self.scan.sensitivity != self.since.sensitivity


def compare(
    session: Session, owner_id: UUID | None, scan_id: UUID, *, since_id: UUID | None
) -> ScanChanges:
    """Compare a scan of this owner, or of anyone's if None, with an earlier one.

    Without `since_id`, that is the scan of its document before it; if there is none, all findings are new.

    Raises:
        NotFound: there is no such scan, or the two have different owners.
    """
    scan = queries.get_scan(session, scan_id, owner_id)
    if scan is None:
        raise NotFound("There is no scan with this id that you may read.")
    if since_id is None:
        since = scan_before(session, scan)
    elif (since := queries.get_scan(session, since_id, scan.user_id)) is None:
        raise NotFound("There is no scan with the id in since, of the same owner.")
    now = _by_fingerprint(queries.list_findings(session, scan.id))
    before = _by_fingerprint(queries.list_findings(session, since.id)) if since else {}
    findings = [
        ChangedFinding(Change.SAME if key in before else Change.NEW, key, found, before.get(key))
        for key, found in now.items()
    ]
    gone = [
        ChangedFinding(Change.GONE, key, None, found)
        for key, found in before.items()
        if key not in now
    ]
    return ScanChanges(scan, since, findings + gone)


def _by_fingerprint(findings: Sequence[tables.Finding]) -> dict[str, tables.Finding]:
    return {finding.fingerprint: finding for finding in findings if finding.fingerprint}


def _model(scan: tables.Scan) -> tuple[str, str, str]:
    return scan.source, scan.model_name, scan.model_version
