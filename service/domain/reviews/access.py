"""Who may see whose scans, documents and feedback: owners their own, reviewers everyone's."""

from __future__ import annotations

from uuid import UUID

from db.tables import Permission, User, may


def visible_owner(user: User) -> UUID | None:
    """Return the owner whose scans, documents and feedback alone the user may see; None for everyone's."""
    return None if may(user.role, Permission.REVIEW) else user.id


def owner_in_scope(user: User, scope: str) -> UUID | None:
    """Return the owner whose rows a list shows; None for everyone's.

    `scope` is `own`, or `reviewable` for all that the user may see.
    """
    return user.id if scope == "own" else visible_owner(user)
