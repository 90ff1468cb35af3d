"""All generated reference pages: `make docs` writes them, a test compares them."""

from __future__ import annotations

from db.tables import ADMINISTRATORS, PERMISSIONS, ROLES
from service.config import documentation
from service.config.settings import ROOT

_ROLES = """\
# Roles

Every account has one role. With any role people scan, and read, review and delete what they own: scans,
documents, sessions, files, API keys and settings. What a role may do beyond that:

"""
_CHANGE = """
Administrators change roles on the page Users, by `PATCH /api/v1/users/{id}`, or with
`python -m service users set-role EMAIL ROLE`. A change applies from the next request of the account on. The
last enabled administrator keeps the role.

An API key may do what its scopes and its owner's role both allow. Only keys of %s may
have the scope `admin`, which the paths below `/api/v1/admin`, `/api/v1/users` and `/api/v1/teams` need.
"""


def pages() -> dict[str, str]:
    """Return the text of each generated file by its path in the repository."""
    return {**documentation.pages(), "docs/roles.md": _roles_page()}


def _roles_page() -> str:
    head = f"| permission | {' | '.join(ROLES)} |\n|---|{'---|' * len(ROLES)}\n"
    rows = (
        f"| {meaning} | {' | '.join('yes' if permission in ROLES[role] else '' for role in ROLES)} |\n"
        for permission, meaning in PERMISSIONS.items()
    )
    return _ROLES + head + "".join(rows) + _CHANGE % _administrators()


def _administrators() -> str:
    names = [f"{role}s" for role in ADMINISTRATORS]
    return f"{', '.join(names[:-1])} and {names[-1]}"


if __name__ == "__main__":
    for name, text in pages().items():
        (ROOT / name).write_text(text, encoding="utf-8")
