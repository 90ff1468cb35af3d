"""What an account may do: its role, and the permissions of each role."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Permission(StrEnum):
    """What some roles may do beyond their own scans, documents, files, keys and settings."""

    REVIEW = "review"
    MODELS = "models"
    AUDIT = "audit"
    PEOPLE = "people"


class Role(StrEnum):
    """The role of an account. The CHECK of users is built from these values."""

    USER = "user"
    REVIEWER = "reviewer"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    ADMIN = "admin"


PERMISSIONS: Mapping[Permission, str] = {
    Permission.REVIEW: "Read everyone's scans and documents, judge their findings, see the review queue.",
    Permission.MODELS: "List, activate, roll back and shadow models; see drift.",
    Permission.AUDIT: "Read the audit trail and the list of calls to other services.",
    Permission.PEOPLE: "Invite people, change roles, disable and delete accounts, block addresses.",
}
ROLES: Mapping[Role, frozenset[Permission]] = {
    Role.USER: frozenset(),
    Role.REVIEWER: frozenset({Permission.REVIEW}),
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
ADMINISTRATORS = [role for role, permissions in ROLES.items() if permissions - {Permission.REVIEW}]
"""Roles that may use some of the paths below /api/v1/admin and /api/v1/users."""
