"""Carries feedback over to a new scan: verdicts to findings with the same fingerprint, and missed risks.

A carried row names its original row. Exports and statistics count each verdict once: with the new scan if it
has the same findings for the sentence, else with the scan of the original row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.orm import Session

from db.queries import carried as queries
from db.tables import Feedback, Verdict
from service.domain.scans.sentence_places import SentencePlaces
from service.nlp.span import Span

Target = tuple[UUID, int, Span]
"""A user, the number of a finding or 0 for a missed risk, and its span."""


def carry_feedback(
    session: Session,
    scan: Mapping[str, Any],
    findings: Sequence[Mapping[str, Any]],
    text: str | None,
) -> int:
    """Store users' feedback on earlier scans of a scan's document with the scan; return the number of rows.

    If a user has several rows on one sentence, the newest applies. `scan` and `findings` are the values of
    the new rows, `text` is the document's.
    """
    earlier = queries.lock_reviewed_scans(session, scan["document_id"], except_id=scan["id"])
    rows = queries.newest_uncopied(session, earlier.keys()) if earlier else []
    if not rows:
        return 0
    by_number: dict[tuple[UUID, int], str] = {}
    by_span: dict[tuple[UUID, int, int], set[str]] = defaultdict(set)
    for scan_id, n, start, end, digest in queries.finding_keys(
        session, {row.scan_id for row in rows}
    ):
        by_number[scan_id, n] = digest
        by_span[scan_id, start or 0, end or 0].add(digest)
    places = SentencePlaces(session, scan["document_id"], text, document_ids=earlier)
    targets = _Targets(scan["id"], findings, places)
    chosen: dict[Target, Feedback] = {}
    for row in rows:  # oldest first, so the newest of a target remains
        if (target := targets.find(row, by_number.get((row.scan_id, row.n)))) is not None:
            chosen[target] = row
    values = [
        targets.values(target, row, by_span[row.scan_id, row.start, row.end])
        for target, row in chosen.items()
        if row.verdict != Verdict.WITHDRAWN
    ]
    queries.add_carried(session, values)
    return len(values)


class _Targets:
    """Finds the findings and sentences of a new scan to which feedback on earlier scans applies."""

    def __init__(
        self, scan_id: UUID, findings: Sequence[Mapping[str, Any]], places: SentencePlaces
    ) -> None:
        self._scan_id = scan_id
        self._places = places
        self._by_fingerprint = {finding["fingerprint"]: finding for finding in findings}
        self._by_span: dict[Span, list[Mapping[str, Any]]] = defaultdict(list)
        for finding in findings:
            self._by_span[_span(finding)].append(finding)

    def find(self, row: Feedback, fingerprint: str | None) -> Target | None:
        """Return the target of a row, whose finding had this fingerprint; None if the new scan lacks it."""
        if row.n:
            finding = self._by_fingerprint.get(fingerprint)
            return None if finding is None else (row.user_id, finding["n"], _span(finding))
        if (span := self._places.find(row)) is None:
            return None
        known = {finding["risk_type"] for finding in self._by_span.get(span, ())}
        return None if known & {*row.risk_types} else (row.user_id, 0, span)

    def values(self, target: Target, row: Feedback, fingerprints: set[str]) -> dict[str, Any]:
        """Return the row to store; `fingerprints` are those of all earlier findings of its sentence."""
        user_id, n, (start, end) = target
        now = {finding["fingerprint"] for finding in self._by_span.get((start, end), ())}
        return {
            "id": uuid_utils.compat.uuid7(),
            "scan_id": self._scan_id,
            "user_id": user_id,
            "role": row.role,
            "n": n,
            "start": start,
            "end": end,
            "revision": 1,
            "verdict": row.verdict,
            "risk_types": row.risk_types,
            "context": row.context and self._places.text[start:end],
            "comment": row.comment,
            "verified": True,
            "created_at": row.created_at,
            "origin_id": row.id,
            "origin_scan_id": row.origin_scan_id or row.scan_id,
            "counts": row.counts and now == fingerprints,
        }


def _span(finding: Mapping[str, Any]) -> Span:
    return finding["start"] or 0, finding["end"] or 0
