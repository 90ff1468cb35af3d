"""Lists rows whose owner no longer exists, and removes them with an audit event."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from db.queries import orphans as queries
from db.queries.orphans import Orphans
from service.domain.audit import Action, Actor, event, record
from service.domain.transactions import Transactions


def find_orphans(transactions: Transactions) -> Sequence[Orphans]:
    """Return the orphans of each table that has any; raises DatabaseUnavailable."""
    return transactions.run(queries.find_orphans)


def remove_orphans(transactions: Transactions, *, actor: Actor) -> dict[str, int]:
    """Delete all orphans; return the number of rows by table. Raises DatabaseUnavailable."""

    def work(session: Session) -> dict[str, int]:
        removed = queries.remove_orphans(session)
        if removed:
            record(
                session,
                event(Action.ORPHANS_REMOVED, actor=actor, object_type="database", detail=removed),
            )
        return removed

    return transactions.run(work)
