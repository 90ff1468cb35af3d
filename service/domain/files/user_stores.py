"""One store of bytes for each user, below one folder; removed together with the user's account."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from uuid import UUID

from db.queries.users import has_user
from service.domain.files.file_store import FileStore, Incoming, storage_errors
from service.domain.files.user_folders import user_folder, users_with_folder
from service.domain.transactions import Transactions
from service.errors import DatabaseUnavailable, TooLarge


class UserStores:
    """The stores of all users."""

    def __init__(self, transactions: Transactions, folder: Path) -> None:
        self._transactions = transactions
        self._folder = folder

    def store(self, user_id: UUID) -> FileStore:
        """Return the store of one user's bytes."""
        return FileStore(user_folder(self._folder, user_id))

    @contextlib.contextmanager
    def temporary_file(self) -> Iterator[IO[bytes]]:
        """Yield a file without a name, which the system removes with the block or the process."""
        with storage_errors():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed below
        with file:
            yield file

    def remove_user(self, user_id: UUID, delete_rows: Callable[[], object]) -> None:
        """Call `delete_rows`, which deletes the account, then remove its bytes.

        A mark on the disk precedes both, so that `finish_removals` removes the bytes after a crash.
        """
        store = self.store(user_id)
        with store.lock():
            store.mark_for_removal()
            delete_rows()
            store.remove()

    def finish_removals(self) -> int:
        """Remove the bytes of accounts whose deletion a crash interrupted; return the number of accounts.

        Bytes without a mark stay, so a service with another database removes nothing.
        """
        users = users_with_folder(self._folder)
        marked = [user_id for user_id in users if self.store(user_id).is_marked()]
        return sum(self._finish_removal(user_id) for user_id in marked)

    def remove_leftovers(self) -> int:
        """Remove the temporary files of uploads whose process died; return their number."""
        stores = [self.store(user_id) for user_id in users_with_folder(self._folder)]
        return sum(_remove_leftovers(store) for store in stores if store.has_incoming())

    def _finish_removal(self, user_id: UUID) -> bool:
        store = self.store(user_id)
        with store.lock():
            if not self._transactions.read(has_user, user_id):
                return store.remove()
            store.unmark()  # the account was not deleted
        return False


@contextlib.contextmanager
def keeping(store: FileStore, incoming: Incoming) -> Iterator[None]:
    """Store received bytes; if the block, which stores their row, fails, remove them unless others had them.

    The caller holds the lock of `store`.
    """
    sha256 = incoming.stored.sha256
    is_new = not store.has(sha256)
    incoming.keep()
    try:
        yield
    except DatabaseUnavailable:
        raise  # the row may have been stored, so the bytes stay
    except Exception:
        if is_new:
            store.delete(sha256)
        raise


def check_quota(used_bytes: int, size_bytes: int, *, quota_bytes: int, remedy: str) -> None:
    """Raise TooLarge with the remedy if a user has no room for `size_bytes` more."""
    if used_bytes + size_bytes > quota_bytes:
        raise TooLarge(
            f"Your files and originals use {used_bytes:,} of {quota_bytes:,} bytes (USER_QUOTA_BYTES), and "
            f"this one has {size_bytes:,}. {remedy}"
        )


def _remove_leftovers(store: FileStore) -> int:
    with store.lock():
        names = store.leftovers()
        for name in names:
            store.remove_leftover(name)
    return len(names)
