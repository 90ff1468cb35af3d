"""Use case of deleting an account with all that it owns: scans, documents, files, keys and settings.

The order is safe against crashes: the account is disabled, its batches are cancelled, its scans are deleted
in small transactions, its comments and the client addresses in its audit events are blanked, then its own row
is deleted with all that is left, then the bytes of its files. Repeating the command continues an interrupted
deletion, and the hourly clean-up removes bytes whose account is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries.audit import erase_personal
from db.queries.feedback import erase_comments
from db.queries.risks import delete_unreachable, erase_sources
from db.tables import User
from service.domain.accounts import user_admin
from service.domain.audit import Actor
from service.domain.batch_bytes import BatchBytes
from service.domain.batch_removal import BatchRemoval
from service.domain.files.files import Files
from service.domain.originals import Originals
from service.domain.scans.retention import delete_scans
from service.domain.transactions import Transactions

EVENTS_AT_ONCE = 500
"""Audit events that one transaction blanks."""


class AccountDeletion:
    """Deletes accounts.

    The audit trail and verdicts on other users' scans stay, under the account's id, without addresses and
    comments. So do risks of teams and of other owners, with what the account wrote on them, but without
    sentences of its documents.
    """

    def __init__(
        self,
        transactions: Transactions,
        files: Files,
        originals: Originals,
        batch_bytes: BatchBytes,
        batches: BatchRemoval,
    ) -> None:
        self._transactions = transactions
        self._files = files
        self._originals = originals
        self._batch_bytes = batch_bytes
        self._batches = batches

    def delete(self, user_id: UUID, *, actor: Actor) -> User:
        """Delete an account; return its last row.

        Raises:
            NotFound: no account has the id.
            Conflict: it is the last enabled administrator.
            StorageUnavailable: its files cannot be removed; the account is disabled and perhaps deleted.
            DatabaseUnavailable: see Transactions.run.
        """
        run = self._transactions.run
        user = run(user_admin.disable, user_id, actor=actor)
        self._batches.cancel_all(user_id)
        delete_scans(
            self._transactions,
            self._originals.discard,
            user_id,
            before=datetime.now(UTC),
            reason="account deleted",
        )

        run(erase_comments, user_id)
        run(_erase_from_risks, user_id)
        while run(erase_personal, user_id, limit=EVENTS_AT_ONCE) == EVENTS_AT_ONCE:
            pass

        def delete_row() -> None:
            run(_delete_row, user_id, actor)

        remove: Callable[[], object] = delete_row
        for stores in (self._batch_bytes, self._originals, self._files):
            remove = partial(stores.remove_user, user_id, remove)
        remove()
        return user


def _delete_row(session: Session, user_id: UUID, actor: Actor) -> None:
    user_admin.delete(session, user_id, actor=actor)
    session.flush()
    erase_personal(session, user_id, limit=EVENTS_AT_ONCE)  # that of the deletion itself


def _erase_from_risks(session: Session, user_id: UUID) -> None:
    erase_sources(session, user_id)
    delete_unreachable(session, without=user_id)
