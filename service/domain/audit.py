"""The audit trail: what was done, by whom, to what; written in the caller's transaction."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries.audit import Event, add_events
from service.observability.request_id import current_client_address, current_request_id


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted: an account, or the operator of a command; neither if the caller is unknown.

    An audit event has the account's id, and the operator in its detail; a deployment has `name`.
    """

    user_id: UUID | None = None
    operator: str | None = None

    @classmethod
    def current_operator(cls) -> Actor:
        """Return cli:<operating system user>, at most 255 characters; the user's number if it has no name."""
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # a container may run under a user id without a name
            user = str(os.getuid())
        return cls(operator=f"cli:{user}"[:255])

    @property
    def name(self) -> str:
        """The operator, or the account's id."""
        return self.operator or str(self.user_id or "unknown")


UNKNOWN = Actor()


class Action(StrEnum):
    """Every audited action; the value is stored.

    The column has no CHECK, so a new action needs no migration, and old events keep their values.
    """

    USER_REGISTERED = "user.registered"
    USER_INVITED = "user.invited"
    USER_LOGGED_IN = "user.logged_in"
    USER_LOGGED_OUT = "user.logged_out"
    USER_LINKED = "user.linked"
    USER_ROLE_CHANGED = "user.role_changed"
    USER_DISABLED = "user.disabled"
    USER_ENABLED = "user.enabled"
    USER_DELETED = "user.deleted"
    LOGIN_FAILED = "login.failed"
    PASSWORD_CHANGED = "password.changed"  # noqa: S105 - the name of an event, not a secret
    PASSWORD_REFUSED = "password.refused"  # noqa: S105
    PASSWORD_RESET = "password.reset"  # noqa: S105
    PASSWORD_LINK_CREATED = "password.link_created"  # noqa: S105
    TOKEN_REUSED = "token.reused"  # noqa: S105 - the name of an event, not a secret
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_DELETED = "key.deleted"
    SETTINGS_CHANGED = "settings.changed"
    SCAN_CREATED = "scan.created"
    SCAN_DELETED = "scan.deleted"
    WORK_SESSION_CREATED = "work_session.created"
    WORK_SESSION_RENAMED = "work_session.renamed"
    WORK_SESSION_DELETED = "work_session.deleted"
    FILE_ADDED = "file.added"
    FILE_DELETED = "file.deleted"
    FILE_LOST = "file.lost"
    DOCUMENT_DELETED = "document.deleted"
    TEAM_CREATED = "team.created"
    TEAM_RENAMED = "team.renamed"
    TEAM_DELETED = "team.deleted"
    TEAM_MEMBER_ADDED = "team.member_added"
    TEAM_MEMBER_REMOVED = "team.member_removed"
    DOCUMENT_SHARED = "document.shared"
    DOCUMENT_UNSHARED = "document.unshared"
    SCAN_SHARED = "scan.shared"
    SCAN_UNSHARED = "scan.unshared"
    WORK_SESSION_SHARED = "work_session.shared"
    WORK_SESSION_UNSHARED = "work_session.unshared"
    MODEL_ACTIVATED = "model.activated"
    MODEL_ROLLED_BACK = "model.rolled_back"
    MODEL_SHADOWED = "model.shadowed"
    MODEL_SHADOW_ENDED = "model.shadow_ended"
    FEEDBACK_GIVEN = "feedback.given"
    FEEDBACK_WITHDRAWN = "feedback.withdrawn"
    FEEDBACK_EXPORTED = "feedback.exported"
    BATCH_CREATED = "batch.created"
    BATCH_CANCELLED = "batch.cancelled"
    BATCH_RETRIED = "batch.retried"
    BATCH_FINISHED = "batch.finished"
    BATCH_DELETED = "batch.deleted"
    BLOCK_ADDED = "block.added"
    BLOCK_REMOVED = "block.removed"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated"  # noqa: S105 - the name of an event, not a secret
    WEBHOOK_TESTED = "webhook.tested"
    WEBHOOK_SENT_AGAIN = "webhook.sent_again"
    WEBHOOK_DELETED = "webhook.deleted"
    COURSE_CREATED = "course.created"
    COURSE_CHANGED = "course.changed"
    COURSE_DELETED = "course.deleted"
    LESSON_CREATED = "lesson.created"
    LESSON_CHANGED = "lesson.changed"
    LESSON_DELETED = "lesson.deleted"
    LESSONS_REORDERED = "lessons.reordered"
    COURSE_FILE_ADDED = "course_file.added"
    COURSE_FILE_DELETED = "course_file.deleted"
    ENROLMENT_CREATED = "enrolment.created"
    ENROLMENT_CHANGED = "enrolment.changed"
    ENROLMENT_DELETED = "enrolment.deleted"
    PROGRESS_CHANGED = "progress.changed"
    COHORT_EXPORTED = "cohort.exported"
    REPORT_LINK_CREATED = "report_link.created"
    RISK_CREATED = "risk.created"
    RISK_CHANGED = "risk.changed"
    RISK_NOTED = "risk.noted"
    RISK_DELETED = "risk.deleted"
    RISKS_IMPORTED = "risks.imported"
    DATA_EXPORTED = "data.exported"
    DATA_PURGED = "data.purged"
    DATA_SENT = "data.sent"
    FOREIGN_READ = "foreign.read"
    AUDIT_EXPORTED = "audit.exported"
    ORPHANS_REMOVED = "orphans.removed"
    BACKUP_CREATED = "backup.created"
    BACKUP_RESTORED = "backup.restored"


def event(
    action: Action,
    *,
    actor: Actor,
    object_type: str,
    object_id: UUID | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Event:
    """Return an event of the current request; `detail` holds no document text and no secret."""
    operator = {"operator": actor.operator} if actor.operator else {}
    return Event(
        action=action,
        user_id=actor.user_id,
        object_type=object_type,
        object_id=str(object_id) if object_id else None,
        request_id=current_request_id(),
        detail={**operator, **(detail or {})},
    )


def account_event(action: Action, user_id: UUID | None, *, actor: Actor, **detail: object) -> Event:
    """Return an event about the account `user_id`, with the address of the client that caused it."""
    address = current_client_address()
    about = event(action, actor=actor, object_type="user", object_id=user_id, detail=detail)
    return replace(about, personal={"client_address": address} if address else None)


def record(session: Session, *events: Event) -> None:
    """Add one event or more to the caller's transaction."""
    add_events(session, events)
