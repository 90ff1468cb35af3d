"""Accounts that log in by single sign-on alone, and the record of calls to its provider.

A downgrade shows these accounts as invited ones, and deletes the records of these calls.

Rule about locks: MySQL, MariaDB and SQLite copy `api_interactions` and block its writers meanwhile; these
wait in the background. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.checks import change_check

revision = "0033"
down_revision: str | None = "0032"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_BEFORE = "kind IN ('llm', 'ai_service', 'webhook', 'indexer')"
_AFTER = "kind IN ('llm', 'ai_service', 'webhook', 'indexer', 'sso')"
_HAS_IDENTITY = "EXISTS (SELECT 1 FROM identities WHERE identities.user_id = users.id)"


def upgrade() -> None:
    """Allow the records, and mark the accounts without a password that have an identity of the provider."""
    op.execute(
        f"UPDATE users SET password_hash = 'sso' WHERE password_hash = '' AND {_HAS_IDENTITY}"  # noqa: S608 - constants
    )
    if not _are_allowed():
        change_check("api_interactions", "ck_api_interactions_kind", _BEFORE, _AFTER)


def downgrade() -> None:
    """Remove the marks and the records, then forbid these."""
    op.execute("UPDATE users SET password_hash = '' WHERE password_hash = 'sso'")
    op.execute("DELETE FROM api_interactions WHERE kind = 'sso'")
    if _are_allowed():
        change_check("api_interactions", "ck_api_interactions_kind", _AFTER, _BEFORE)


def _are_allowed() -> bool:
    checks = sa.inspect(op.get_bind()).get_check_constraints("api_interactions")
    return any("'sso'" in check["sqltext"] for check in checks)
