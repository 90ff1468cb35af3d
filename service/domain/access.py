"""Who may read and judge what: own rows, those shared with a team of the user, or everyone's; and courses."""

from __future__ import annotations

from uuid import UUID

from db.queries.reach import EVERYONE, Reach, own, own_and_shared, shared
from db.tables import CourseStatus, Permission, User, may


def readable(user: User) -> Reach:
    """Return the scans and documents that the user may read."""
    return EVERYONE if may(user.role, Permission.REVIEW_ALL) else own_and_shared(user.id)


def judgeable(user: User) -> Reach:
    """Return the scans whose findings the user may judge; members judge nothing of their teams."""
    return readable(user) if may(user.role, Permission.REVIEW) else own(user.id)


def in_scope(user: User, scope: str) -> Reach:
    """Return the rows that a list shows; `scope` is `own`, `team`, or `reviewable` for `judgeable`."""
    if scope == "reviewable":
        return judgeable(user)
    return shared(user.id) if scope == "team" else own(user.id)


def visible_courses(user: User) -> frozenset[CourseStatus]:
    """Return the statuses of the courses that the user sees: all of them if the user may write courses."""
    if may(user.role, Permission.COURSES):
        return frozenset(CourseStatus)
    return frozenset({CourseStatus.ACTIVE})


def only_author(user: User) -> UUID | None:
    """Return the user as the author whose verdicts alone they see; None for reviewers, who see everyone's."""
    return None if may(user.role, Permission.REVIEW) else user.id
