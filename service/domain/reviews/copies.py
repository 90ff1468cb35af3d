"""Keeps the copies of a verdict, which later scans of its document have, equal to it."""

from __future__ import annotations

import uuid_utils.compat
from sqlalchemy.orm import Session

from db.queries import carried, samples
from db.queries import feedback as queries
from db.queries.feedback import Target
from db.tables import Feedback, Verdict


def update_copies(session: Session, previous: Feedback, changed: Feedback) -> None:
    """Change the copies of `previous` as the user changed it, and their copies in turn.

    A copy that the user changed or withdrew in its own scan stays. The copy of a missed risk is withdrawn if
    its scan has found the risk.
    """
    for copy in carried.copies(session, previous.id):
        queries.scan_under_review(session, copy.scan_id, lock=True)
        target = Target(copy.scan_id, copy.user_id, copy.n, copy.start, copy.end)
        is_found = changed.n == 0 and _is_found(session, target, changed.risk_types)
        values = {
            "id": uuid_utils.compat.uuid7(),
            "role": changed.role,
            "revision": copy.revision + 1,
            "verdict": Verdict.WITHDRAWN if is_found else changed.verdict,
            "risk_types": [] if is_found else changed.risk_types,
            "context": copy.context,
            "comment": changed.comment,
            "verified": copy.verified,
            "created_at": changed.created_at,
            "origin_id": changed.id,
            "origin_scan_id": copy.origin_scan_id,
            "counts": copy.counts and not is_found,
        }
        update_copies(session, copy, queries.add_feedback(session, target, values))
        if target.n == 0:
            samples.reopen(session, target)


def _is_found(session: Session, target: Target, risk_types: list[str]) -> bool:
    findings = queries.findings_at(session, target.scan_id, target.start, target.end)
    return any(finding.risk_type in risk_types for finding in findings)
