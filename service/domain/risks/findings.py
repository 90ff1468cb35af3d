"""Use cases of supporting findings: add a confirmed finding to a risk as a copy, or remove it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.queries import reports as verdicts
from db.queries import risks as queries
from db.queries import scans
from db.queries.feedback import get_finding
from db.tables import Finding, Risk, RiskFinding, Scan, User
from service.domain.access import only_author, readable
from service.domain.audit import Action
from service.domain.risks.risks import (
    Change,
    NewRisk,
    add_change,
    changeable_risk,
    create_risk,
    record_risk,
    touch,
)
from service.domain.verdicts import CurrentVerdict, current_verdict
from service.errors import Conflict, NotFound
from service.nlp.taxonomy import Taxonomy

MAX_FINDINGS = 200
"""Findings that support one risk."""
FINDINGS = "findings"
"""The field of a change that adds or removes a finding; its values are of `source_text`."""
_NOT_CONFIRMED = (
    "This finding is not confirmed. Confirm or relabel it in the review first; a rejected or disputed "
    "finding supports no risk."
)
_NO_SCAN = "There is no scan with this id that you may read."
_MAX_N = 2**31 - 1


def create_from(
    session: Session, user: User, new: NewRisk, *, scan_id: UUID, n: int, taxonomy: Taxonomy
) -> Risk:
    """Create a risk that a confirmed finding supports; raises what `create_risk` and `add_finding` do."""
    risk = create_risk(session, user, new)
    _add(session, user, risk, scan_id=scan_id, n=n, taxonomy=taxonomy)
    return risk


def add_finding(
    session: Session, user: User, risk_id: UUID, *, scan_id: UUID, n: int, taxonomy: Taxonomy
) -> Risk:
    """Add a confirmed finding to a risk.

    Raises:
        NotFound: the user sees no such risk, scan or finding.
        Forbidden: the user may not change the risk.
        Conflict: the finding is not confirmed, supports the risk already, or MAX_FINDINGS do.
    """
    risk = changeable_risk(session, user, risk_id)
    _add(session, user, risk, scan_id=scan_id, n=n, taxonomy=taxonomy)
    return risk


def remove_finding(session: Session, user: User, risk_id: UUID, scan_id: UUID, n: int) -> Risk:
    """Remove a finding from a risk; NotFound if it does not support it, and as in `add_finding`."""
    risk = changeable_risk(session, user, risk_id)
    if not queries.remove_finding(session, risk_id, scan_id, n):
        raise NotFound("This finding does not support this risk.")
    _changed(session, user, risk, before=source_text(scan_id, n), after=None)
    return risk


def source_text(scan_id: UUID, n: int) -> str:
    """Return what the history of a risk says of a finding."""
    return f"{scan_id} {n}"


def parse_source(text: str) -> tuple[UUID, int]:
    """Return the scan and the number in a `source_text`."""
    scan_id, n = text.split()
    return UUID(scan_id), int(n)


def risks_in_scan(session: Session, user: User, scan_id: UUID) -> Sequence[tuple[int, Risk]]:
    """Return the risks that a user sees and that findings of a scan support, by the finding's number.

    Raises NotFound if the user may not read the scan.
    """
    scan = scans.get_scan(session, scan_id, readable(user))
    if scan is None:
        raise NotFound(_NO_SCAN)
    return queries.risks_in_scan(session, user.id, scan, queries.series_of(session, scan))


def _add(
    session: Session, user: User, risk: Risk, *, scan_id: UUID, n: int, taxonomy: Taxonomy
) -> None:
    scan = scans.get_scan(session, scan_id, readable(user))
    if scan is None:
        raise NotFound(_NO_SCAN)
    finding = get_finding(session, scan_id, n) if n <= _MAX_N else None
    if finding is None:
        raise NotFound("This scan has no finding with this number.")
    rows = verdicts.verdicts_on(session, scan_id, [n], user_id=only_author(user)).get(n, [])
    verdict = current_verdict(rows)
    if verdict is None or not verdict.is_risk:
        raise Conflict(_NOT_CONFIRMED)
    if len(queries.findings_of(session, [risk.id])) >= MAX_FINDINGS:
        raise Conflict(f"{MAX_FINDINGS} findings support this risk, the limit.")
    copy = _copy(scan, finding, verdict, taxonomy)
    copy.risk_id, copy.user_id = risk.id, user.id
    copy.series_id = queries.series_of(session, scan) if finding.fingerprint else None
    session.add(copy)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict("This finding supports this risk already.") from error
    _changed(session, user, risk, before=None, after=source_text(scan_id, n))


def _copy(scan: Scan, finding: Finding, verdict: CurrentVerdict, taxonomy: Taxonomy) -> RiskFinding:
    titles = ", ".join(taxonomy.risk_title(key, None) for key in verdict.risk_types)
    return RiskFinding(
        id=uuid_utils.compat.uuid7(),
        scan_id=scan.id,
        n=finding.n,
        fingerprint=finding.fingerprint,
        filename=scan.filename,
        context=finding.context,
        risk=(titles or taxonomy.risk_title(finding.risk_type, finding.foreign_risk))[:255],
        category=_categories(finding, verdict, taxonomy)[:255],
        score=finding.score,
        part=finding.part,
        page=finding.page,
        scanned_at=scan.created_at,
        source_user_id=scan.user_id,
        created_at=datetime.now(UTC),
    )


def _categories(finding: Finding, verdict: CurrentVerdict, taxonomy: Taxonomy) -> str:
    """Return the categories of the types in the verdict, or the finding's own if it names none."""
    known = [key for key in verdict.risk_types if key in taxonomy.risk_titles]
    keys = dict.fromkeys(taxonomy.category_of(key) for key in known)
    if keys:
        return ", ".join(taxonomy.category_titles[key] for key in keys)
    return taxonomy.category_title(finding.category, finding.foreign_category)


def _changed(
    session: Session, user: User, risk: Risk, *, before: str | None, after: str | None
) -> None:
    now = datetime.now(UTC)
    add_change(session, risk, user.id, Change(FINDINGS, before, after), at=now)
    touch(risk, at=now)
    session.flush()
    record_risk(session, Action.RISK_CHANGED, risk.id, user.id, fields=["findings"])
