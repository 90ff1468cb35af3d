"""What reports read: scans of a selection, counts of their findings, and the verdicts on these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy import func as sql
from sqlalchemy.orm import Session

from db.queries.feedback import is_current
from db.queries.pages import Position, newest_first
from db.queries.reach import Reach, scan_in_reach
from db.queries.scans import ScanFilter, list_scans
from db.tables import DocumentShare, Feedback, File, Finding, Scan, ScanShare, WorkSession


@dataclass(frozen=True, slots=True)
class Selection:
    """Which scans a report is about: those that all fields allow; an empty field allows every scan.

    `work_session_id` selects the scans of the documents whose files the session has now; `team_id` those that
    are shared with the team. `created_from` is inclusive, `created_before` exclusive.
    """

    scan_ids: tuple[UUID, ...] = ()
    work_session_id: UUID | None = None
    team_id: UUID | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


def list_selected(
    session: Session,
    reach: Reach,
    selection: Selection,
    *,
    limit: int,
    after: Position | None = None,
) -> Sequence[Scan]:
    """Return up to `limit` selected scans in reach past the position `after`, newest first."""
    created = (selection.created_from, selection.created_before)
    named = _named(selection)
    if not named:  # the list of scans knows which index has them in this order
        filters = ScanFilter(created_from=created[0], created_before=created[1])
        return list_scans(session, reach, filters, limit=limit, after=after)
    query = select(Scan).where(*named, *scan_in_reach(reach))
    if created[0] is not None:
        query = query.where(Scan.created_at >= created[0])
    if created[1] is not None:
        query = query.where(Scan.created_at < created[1])
    return session.scalars(newest_first(query, Scan, after=after).limit(limit)).all()


def count_by_category(
    session: Session, scan_ids: Sequence[UUID]
) -> Mapping[tuple[str | None, str | None], int]:
    """Return the number of findings of some scans by category key and foreign title."""
    columns = (Finding.category, Finding.foreign_category)
    query = select(*columns, sql.count()).where(Finding.scan_id.in_(scan_ids)).group_by(*columns)
    return {(category, foreign): n for category, foreign, n in session.execute(query)}


def judged_among(session: Session, scan_ids: Sequence[UUID]) -> frozenset[UUID]:
    """Return which of some scans have any feedback."""
    query = select(Feedback.scan_id).where(Feedback.scan_id.in_(scan_ids)).distinct()
    return frozenset(session.scalars(query))


def verdicts_on(
    session: Session, scan_id: UUID, numbers: Sequence[int], *, user_id: UUID | None = None
) -> Mapping[int, list[Feedback]]:
    """Return the current verdicts on the findings `numbers` of a scan, by number; of one user if given."""
    of = [Feedback.scan_id == scan_id, Feedback.n.in_(numbers), *is_current()]
    if user_id is not None:
        of.append(Feedback.user_id == user_id)
    by_number: dict[int, list[Feedback]] = defaultdict(list)
    for row in session.scalars(select(Feedback).where(*of)):
        by_number[row.n].append(row)
    return by_number


def _named(selection: Selection) -> list[ColumnElement[bool]]:
    """Return the conditions of everything but the time."""
    conditions: list[ColumnElement[bool]] = []
    if selection.scan_ids:
        conditions.append(Scan.id.in_(selection.scan_ids))
    if selection.work_session_id is not None:
        of_file = select(File.id).join(WorkSession, WorkSession.id == File.work_session_id)
        of_file = of_file.where(
            File.work_session_id == selection.work_session_id,
            File.sha256 == Scan.document_sha256,
            WorkSession.user_id == Scan.user_id,
        )
        conditions.append(of_file.exists())
    if selection.team_id is not None:
        of_team = (
            select(share.team_id).where(share.team_id == selection.team_id, share_of == shared)
            for share, share_of, shared in (
                (ScanShare, ScanShare.scan_id, Scan.id),
                (DocumentShare, DocumentShare.document_id, Scan.document_id),
            )
        )
        conditions.append(or_(*(query.exists() for query in of_team)))
    return conditions
