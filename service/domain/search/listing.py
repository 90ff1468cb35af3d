"""Use case: the findings of all scans that a user may read, filtered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from db.queries import findings as queries
from db.queries.findings import FindingFilter, Position, Viewer
from db.queries.reach import Reach
from db.tables import Finding, Scan, User
from service.domain.access import only_author, readable
from service.domain.stored_labels import check_labels
from service.nlp.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class ListedFinding:
    """A finding with its scan, and the newest verdict on it that the reader sees."""

    finding: Finding
    scan: Scan
    verdict: str | None


def viewer_of(user: User) -> Viewer:
    """Return what a user may read, and whose verdicts they see."""
    return Viewer(readable(user), only_author(user))


def list_findings(
    session: Session,
    reach: Reach,
    viewer: Viewer,
    filters: FindingFilter,
    *,
    taxonomy: Taxonomy,
    limit: int,
    after: Position | None,
) -> Sequence[ListedFinding]:
    """Return up to `limit` findings in reach after a position: newest scan first, then in document order.

    Raises:
        InvalidRequest: neither `taxonomy` nor any finding has the category or risk type of `filters`.
    """
    check_labels(session, taxonomy, category=filters.category, risk_type=filters.risk_type)
    rows = queries.list_findings(session, reach, viewer, filters, limit=limit, after=after)
    verdicts = queries.verdicts_at(session, viewer, [(f.scan_id, f.n) for f, _ in rows])
    return [ListedFinding(f, scan, verdicts.get((f.scan_id, f.n))) for f, scan in rows]
