"""What an account may do: its role, and the permissions of each role."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Permission(StrEnum):
    """What some roles may do beyond their own scans, documents, files, keys and settings."""

    REVIEW = "review"
    REVIEW_ALL = "review_all"
    COURSES = "courses"
    MODELS = "models"
    AUDIT = "audit"
    PEOPLE = "people"


class Role(StrEnum):
    """The role of an account. The CHECK of users is built from these values."""

    USER = "user"
    TEAM_REVIEWER = "team-reviewer"
    REVIEWER = "reviewer"
    INSTRUCTOR = "instructor"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    ADMIN = "admin"


PERMISSIONS: Mapping[Permission, str] = {
    Permission.REVIEW: "Judge the findings that one can read, see the review queue.",
    Permission.REVIEW_ALL: "Read everyone's scans and documents, judge their findings.",
    Permission.COURSES: "Write courses, enrol people, and see how far they are.",
    Permission.MODELS: "List, activate, roll back and shadow models; see drift.",
    Permission.AUDIT: "Read the audit trail and the list of calls to other services.",
    Permission.PEOPLE: "Invite people, form teams, change roles, disable, delete accounts, block addresses.",
}
ROLES: Mapping[Role, frozenset[Permission]] = {
    Role.USER: frozenset(),
    Role.TEAM_REVIEWER: frozenset({Permission.REVIEW}),
    Role.REVIEWER: frozenset({Permission.REVIEW, Permission.REVIEW_ALL}),
    Role.INSTRUCTOR: frozenset({Permission.COURSES}),
    Role.ANALYST: frozenset({Permission.MODELS}),
    Role.AUDITOR: frozenset({Permission.AUDIT}),
    Role.ADMIN: frozenset(Permission),
}


def may(role: str, permission: Permission) -> bool:
    """Return whether accounts of a role have a permission."""
    return permission in ROLES[Role(role)]


def roles_with(permission: Permission) -> list[Role]:
    """Return the roles that have a permission."""
    return [role for role, permissions in ROLES.items() if permission in permissions]


REVIEWERS = roles_with(Permission.REVIEW)
"""Roles whose verdicts on other people's documents count."""
_WITHOUT_PATHS = {Permission.REVIEW, Permission.REVIEW_ALL, Permission.COURSES}
ADMINISTRATORS = [role for role, permissions in ROLES.items() if permissions - _WITHOUT_PATHS]
"""Roles that may use some of the paths below /api/v1/admin and /api/v1/users."""
