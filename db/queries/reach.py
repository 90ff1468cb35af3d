"""Reach: whose scans, documents and sessions a query returns.

Conditions come in two forms. `*_in_reach` tests single rows; `*_of` lets the database begin with the rows
that are shared, so that a list of few shared rows does not read everyone's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, CompoundSelect, Select, false, or_, select, union

from db.tables import (
    Document,
    DocumentShare,
    Scan,
    ScanShare,
    TeamMember,
    WorkSession,
    WorkSessionShare,
)

_Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Reach:
    """The rows of `owner_id`, those shared with a team of `member_id`, or everyone's."""

    owner_id: UUID | None = None
    member_id: UUID | None = None
    is_everyones: bool = False


EVERYONE = Reach(is_everyones=True)


def own(user_id: UUID) -> Reach:
    """Return the reach of a user's own rows."""
    return Reach(owner_id=user_id)


def shared(user_id: UUID) -> Reach:
    """Return the reach of the rows that are shared with a team of a user."""
    return Reach(member_id=user_id)


def own_and_shared(user_id: UUID) -> Reach:
    """Return the reach of both."""
    return Reach(owner_id=user_id, member_id=user_id)


def scan_in_reach(reach: Reach) -> list[_Condition]:
    """Return the conditions that a scan is in reach, for queries that name few scans."""
    return _in_reach(reach, Scan.user_id, _scan_shares(Scan.id), _document_shares(Scan.document_id))


def document_in_reach(reach: Reach, document: type[Document] = Document) -> list[_Condition]:
    """Return the same for a document."""
    return _in_reach(reach, document.user_id, _document_shares(document.id))


def work_session_in_reach(reach: Reach) -> list[_Condition]:
    """Return the same for a work session."""
    return _in_reach(reach, WorkSession.user_id, _work_session_shares(WorkSession.id))


def scans_of(reach: Reach) -> list[_Condition]:
    """Return the conditions that scans are in reach, for queries that list many."""
    of_documents = select(Scan.id).join(
        DocumentShare, DocumentShare.document_id == Scan.document_id
    )
    return _of(
        reach,
        Scan,
        _with_member(select(ScanShare.scan_id), ScanShare),
        _with_member(of_documents, DocumentShare),
    )


def documents_of(reach: Reach) -> list[_Condition]:
    """Return the same for documents."""
    return _of(reach, Document, _with_member(select(DocumentShare.document_id), DocumentShare))


def work_sessions_of(reach: Reach) -> list[_Condition]:
    """Return the same for work sessions."""
    ids = select(WorkSessionShare.work_session_id)
    return _of(reach, WorkSession, _with_member(ids, WorkSessionShare))


def is_by_index(reach: Reach) -> bool:
    """Return whether an index has the rows in reach in the order of their creation."""
    return reach.member_id is None


def _in_reach(
    reach: Reach,
    user_id: Any,  # noqa: ANN401 - a column of a table or of its alias
    *shares: Select[Any],
) -> list[_Condition]:
    if reach.is_everyones:
        return []
    ways: list[_Condition] = [] if reach.owner_id is None else [user_id == reach.owner_id]
    if reach.member_id is not None:
        ways += [share.where(TeamMember.user_id == reach.member_id).exists() for share in shares]
    return [or_(false(), *ways)]


def _of(reach: Reach, table: Any, *shared_ids: Select[Any]) -> list[_Condition]:  # noqa: ANN401 - one of three tables
    if reach.is_everyones:
        return []
    if reach.member_id is None:
        return [table.user_id == reach.owner_id]
    ids: list[Select[Any]] = [
        part.where(TeamMember.user_id == reach.member_id) for part in shared_ids
    ]
    if reach.owner_id is not None:
        ids.append(select(table.id).where(table.user_id == reach.owner_id))
    rows: CompoundSelect[Any] = union(*ids)
    # MariaDB runs a UNION directly inside IN again for each row, but a derived table once.
    return [table.id.in_(select(rows.subquery("in_reach")))]


def _with_member(query: Select[Any], share: Any) -> Select[Any]:  # noqa: ANN401 - one of three tables
    return query.join(TeamMember, TeamMember.team_id == share.team_id)


def _scan_shares(scan_id: Any) -> Select[Any]:  # noqa: ANN401 - a column
    query = select(ScanShare.team_id).where(ScanShare.scan_id == scan_id)
    return _with_member(query, ScanShare)


def _document_shares(document_id: Any) -> Select[Any]:  # noqa: ANN401
    query = select(DocumentShare.team_id).where(DocumentShare.document_id == document_id)
    return _with_member(query, DocumentShare)


def _work_session_shares(work_session_id: Any) -> Select[Any]:  # noqa: ANN401
    query = select(WorkSessionShare.team_id)
    return _with_member(
        query.where(WorkSessionShare.work_session_id == work_session_id), WorkSessionShare
    )
