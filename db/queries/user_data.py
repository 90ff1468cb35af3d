"""All rows about one user, table by table, for the export of the user's data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.orm import Session

from db.tables import (
    ApiInteraction,
    ApiKey,
    AuditEvent,
    Batch,
    BatchItem,
    Document,
    DocumentShare,
    Enrolment,
    Feedback,
    File,
    Finding,
    Identity,
    LessonProgress,
    LlmUsage,
    Login,
    ReportLog,
    Risk,
    RiskChange,
    RiskFinding,
    RiskNote,
    Scan,
    ScanShare,
    Team,
    TeamMember,
    User,
    UserSettings,
    Webhook,
    WorkSession,
    WorkSessionShare,
)

Row = dict[str, Any]
_BY_TIME = ("created_at", "id")


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table about one user; `hidden` columns are secrets, or are exported elsewhere.

    A row is about the user if it meets one of the conditions `are_about`, and none meets two: each is read by
    a query of its own, so that an index serves it. `order` names the columns by which rows are listed.
    """

    table: Any
    are_about: Callable[[UUID], Sequence[ColumnElement[bool]]]
    hidden: frozenset[str] = frozenset()
    order: tuple[str, ...] = ("id",)

    @property
    def columns(self) -> list[str]:
        keys = [attribute.key for attribute in self.table.__mapper__.column_attrs]
        return [key for key in keys if key not in self.hidden]


def _owned(table: Any, *hidden: str) -> Rows:  # noqa: ANN401 - a table with user_id
    return Rows(table, lambda user_id: [table.user_id == user_id], frozenset(hidden))


def _audit_events(user_id: UUID) -> list[ColumnElement[bool]]:
    is_object = and_(AuditEvent.object_type == "user", AuditEvent.object_id == str(user_id))
    is_by_other = or_(AuditEvent.user_id.is_(None), AuditEvent.user_id != user_id)
    return [AuditEvent.user_id == user_id, and_(is_object, is_by_other)]


def _calls(user_id: UUID) -> list[ColumnElement[bool]]:
    return [exists().where(Scan.id == ApiInteraction.scan_id, Scan.user_id == user_id)]


def _risks(user_id: UUID) -> list[ColumnElement[bool]]:
    return [or_(Risk.user_id == user_id, Risk.owner_id == user_id)]


def _teams(user_id: UUID) -> list[ColumnElement[bool]]:
    return [exists().where(TeamMember.team_id == Team.id, TeamMember.user_id == user_id)]


ACCOUNT = Rows(User, lambda user_id: [User.id == user_id], frozenset({"password_hash"}))
SETTINGS = _owned(UserSettings)
SESSIONS = _owned(WorkSession)
FILES = _owned(File)
DOCUMENTS = _owned(Document, "text", "blocks", "layout")
SCANS = _owned(Scan, "request_sha256")
BATCH_ITEMS = _owned(BatchItem, "worker", "claim_id", "lease_until")
LISTED = {
    "logins": _owned(Login),
    "identities": _owned(Identity),
    "api_keys": _owned(ApiKey, "key_hash", "hint"),
    "batches": _owned(Batch, "request_sha256"),
    "feedback": _owned(Feedback),
    "audit_events": Rows(AuditEvent, _audit_events, frozenset({"personal_digest"}), _BY_TIME),
    "outgoing_calls": Rows(ApiInteraction, _calls),
    "exports": _owned(ReportLog),
    "webhooks": _owned(Webhook, "secret_number"),
    "enrolments": _owned(Enrolment),
    "lesson_progress": _owned(LessonProgress),
    "risks": Rows(Risk, _risks),
    "risk_findings": _owned(RiskFinding),
    "risk_notes": _owned(RiskNote),
    "risk_changes": _owned(RiskChange),
    "teams": Rows(Team, _teams, frozenset({"name_key"})),
}
"""The other tables, by the name of their file."""
_FINDING = [a.key for a in Finding.__mapper__.column_attrs if a.key != "scan_id"]
_SHARES: dict[Any, tuple[Any, Any]] = {
    WorkSession: (WorkSessionShare, WorkSessionShare.work_session_id),
    Document: (DocumentShare, DocumentShare.document_id),
    Scan: (ScanShare, ScanShare.scan_id),
}


def get_row(session: Session, rows: Rows, user_id: UUID) -> Row | None:
    """Return the one row about a user; None if there is none."""
    query = select(*(getattr(rows.table, name) for name in rows.columns))
    row = session.execute(query.where(*rows.are_about(user_id))).one_or_none()
    return None if row is None else dict(zip(rows.columns, row, strict=True))


def list_rows(
    session: Session, rows: Rows, user_id: UUID, *, after: Row | None, limit: int
) -> Sequence[Row]:
    """Return up to `limit` rows about a user past the row `after`, in the order of `rows`."""
    table = rows.table
    query = select(*(getattr(table, name) for name in rows.columns))
    if after is not None:
        query = query.where(_is_past(rows, after))
    query = query.order_by(*(getattr(table, name) for name in rows.order)).limit(limit)
    listed = [
        dict(zip(rows.columns, row, strict=True))
        for is_about in rows.are_about(user_id)
        for row in session.execute(query.where(is_about))
    ]
    listed = sorted(listed, key=itemgetter(*rows.order))[:limit]
    if table is AuditEvent:
        for row in listed:  # the address of an administrator is not the user's
            personal = row.pop("personal") or {}
            is_own = row["user_id"] == user_id
            row["client_address"] = personal.get("client_address") if is_own else None
    if table in _SHARES:
        for row in listed:
            row["shared_with_teams"] = _teams_of(session, table, row["id"])
    return listed


def list_scans_with_findings(
    session: Session, user_id: UUID, *, after: Row | None, limit: int
) -> Sequence[Row]:
    """Return scans as `list_rows` does, each with its findings in document order."""
    scans = list_rows(session, SCANS, user_id, after=after, limit=limit)
    for scan in scans:
        query = select(*(getattr(Finding, name) for name in _FINDING))
        found = session.execute(query.where(Finding.scan_id == scan["id"]).order_by(Finding.n))
        scan["findings"] = [dict(zip(_FINDING, row, strict=True)) for row in found]
    return scans


def list_llm_usage(session: Session, user_id: UUID) -> Sequence[Row]:
    """Return the tokens of each day on which a user used the LLM, oldest first."""
    query = select(LlmUsage.day, LlmUsage.tokens).where(LlmUsage.user_id == user_id)
    return [{"day": day, "tokens": n} for day, n in session.execute(query.order_by(LlmUsage.day))]


def _is_past(rows: Rows, after: Row) -> ColumnElement[bool]:
    table = rows.table
    is_later: ColumnElement[bool] = table.id > after["id"]
    if rows.order != _BY_TIME:
        return is_later
    at = after["created_at"]
    return and_(table.created_at >= at, or_(table.created_at > at, is_later))  # see newest_first


def _teams_of(session: Session, table: Any, row_id: UUID) -> list[UUID]:  # noqa: ANN401 - as above
    share, owner = _SHARES[table]
    return [*session.scalars(select(share.team_id).where(owner == row_id))]
