"""Use case of sending a batch: its files go to the user's store, its rows to the database, in small groups.

The batch is `receiving` until its last file has arrived; nobody sees it, and no worker claims its items. If a
file is refused, the whole batch is removed; `remove_abandoned` removes what a crash left.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate, is_missing_parent
from db.queries import batches as queries
from db.queries.files import used_bytes
from db.tables import NEVER_SERVED, Batch, BatchState, File, ItemState
from service.domain.batch_bytes import BatchBytes
from service.domain.batches.archive import archived_files
from service.domain.batches.batches import record_created
from service.domain.files.file_store import BLOCK_BYTES, Incoming, Readable, storage_errors
from service.domain.files.user_stores import check_quota, keeping
from service.domain.idempotency_keys import batch_of_key, claim_for_batch
from service.domain.transactions import Transactions
from service.errors import Conflict, Fault, InvalidRequest, RiskscanError, TooLarge, Unauthenticated

UNKNOWN_TYPE = "application/octet-stream"
_AT_ONCE = 32
"""Files whose rows are stored in one transaction; each holds a descriptor until then."""
_ABANDONED_AFTER = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class NewItem:
    """A document as a client sends it; a pasted text has no name."""

    name: str | None
    media_type: str
    stream: Readable
    document_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How a batch is named and scanned; None where the request was silent."""

    name: str
    sensitivity: str | None = None
    force_llm: bool | None = None


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """MAX_BATCH_FILES, MAX_BATCH_BYTES, MAX_FILE_BYTES and USER_QUOTA_BYTES."""

    n_files: int
    n_bytes: int
    file_bytes: int
    quota_bytes: int


class BatchIntake:
    """Receives batches."""

    def __init__(
        self,
        transactions: Transactions,
        stored: BatchBytes,
        limits: BatchLimits,
        *,
        secret_key: str,
        announce: Callable[[int], None],
    ) -> None:
        """`secret_key` signs the hashes of requests; `announce` wakes workers for a number of items."""
        self._transactions = transactions
        self._stored = stored
        self._limits = limits
        self._secret_key = secret_key.encode()
        self._announce = announce

    def receive(
        self,
        user_id: UUID,
        options: BatchOptions,
        items: Iterable[NewItem],
        *,
        key: str | None = None,
    ) -> Batch:
        """Store documents and let them wait for workers; each stream is read before the next item.

        If this user has already used the idempotency `key`, return the batch of then.

        Raises:
            InvalidRequest: there is no document.
            TooLarge: a file, their number, all together, or the user's quota exceed their limit.
            Conflict: the key was used with other content, or for a scan.
            Unauthenticated: the account was deleted meanwhile.
            StorageUnavailable, DatabaseUnavailable: nothing was stored; and whatever `items` raises.
        """
        received = _Received(self._limits)
        if key and (earlier := self._transactions.read(batch_of_key, user_id, key)):
            for item in items:
                received.hash(item)
            return self._same(earlier, received.digest(self._secret_key, options))
        batch_id = self._begin(user_id, options)
        try:
            unread = iter(items)
            while self._store_some(user_id, batch_id, itertools.islice(unread, _AT_ONCE), received):
                pass
            return self._open(user_id, batch_id, key, received.digest(self._secret_key, options))
        except BaseException:
            with contextlib.suppress(RiskscanError):  # else `remove_abandoned` removes it
                self._remove(user_id, batch_id)
            raise

    def of_files(
        self,
        user_id: UUID,
        options: BatchOptions,
        files: Sequence[File],
        *,
        key: str | None = None,
        version_of: UUID | None = None,
    ) -> Batch:
        """Let stored files of a session wait for workers, which read the bytes there; raises as `receive`."""
        parts = [[str(file.id), str(version_of)] for file in files]
        digest = _digest(self._secret_key, options, parts)
        if key and (earlier := self._transactions.read(batch_of_key, user_id, key, files)):
            return self._same(earlier, digest)
        self._limits_of(files)
        batch_id = self._begin(user_id, options)
        rows = [
            _row(user_id, batch_id, n, name=file.name, media_type=file.media_type)
            | {"size_bytes": file.size_bytes, "file_id": file.id, "document_id": version_of}
            for n, file in enumerate(files, start=1)
        ]
        self._transactions.run(queries.add_items, batch_id, rows)
        return self._open(user_id, batch_id, key, digest)

    def unpack(self, stream: Readable) -> Iterator[NewItem]:
        """Yield the documents of a zip archive, which goes to a nameless file on the disk first.

        Raises:
            TooLarge: the archive itself exceeds MAX_BATCH_BYTES.
            StorageUnavailable: the disk is full; and whatever `archived_files` raises.
        """
        with self._stored.temporary_file() as file:
            n_bytes = 0
            while block := stream.read(BLOCK_BYTES):
                n_bytes += len(block)
                if n_bytes > self._limits.n_bytes:
                    raise _too_many_bytes(self._limits.n_bytes)
                with storage_errors():
                    file.write(block)
            for archived in archived_files(file, max_files=self._limits.n_files):
                yield NewItem(archived.name, UNKNOWN_TYPE, archived.stream)

    def remove_abandoned(self) -> int:
        """Remove batches whose files stopped arriving because a process ended; return their number."""
        before = datetime.now(UTC) - _ABANDONED_AFTER
        abandoned = self._transactions.read(queries.list_abandoned, before=before, limit=100)
        for batch in abandoned:
            self._remove(batch.user_id, batch.id)
        return len(abandoned)

    def _begin(self, user_id: UUID, options: BatchOptions) -> UUID:
        batch_id, at = uuid_utils.compat.uuid7(), datetime.now(UTC)
        times = {"created_at": at, "ready_at": at, "served_at": NEVER_SERVED}
        counts = {f"n_{state}": 0 for state in ItemState}
        values = {"id": batch_id, "user_id": user_id, "state": BatchState.RECEIVING}
        try:
            self._transactions.run(
                queries.add_batch, {**values, **asdict(options), **times, **counts}
            )
        except IntegrityError as error:
            if is_missing_parent(error):
                raise Unauthenticated("This account was deleted meanwhile.") from error
            raise
        return batch_id

    def _store_some(
        self, user_id: UUID, batch_id: UUID, items: Iterator[NewItem], received: _Received
    ) -> bool:
        """Store the next few items; return whether there were any."""
        store = self._stored.store(user_id)
        rows: list[dict[str, Any]] = []
        with contextlib.ExitStack() as stack:
            incoming: list[Incoming] = []
            for item in items:
                incoming.append(stack.enter_context(store.receive(received.stream(item))))
                stored = incoming[-1].stored
                received.add(item, stored.sha256)
                row = _row(
                    user_id,
                    batch_id,
                    received.n_items,
                    name=item.name,
                    media_type=item.media_type,
                )
                bytes_of = {"sha256": stored.sha256, "size_bytes": stored.size_bytes}
                rows.append({**row, **bytes_of, "document_id": item.document_id})
            if not rows:
                return False
            stack.enter_context(store.lock())
            for arrived in incoming:
                stack.enter_context(keeping(store, arrived))
            self._transactions.run(_add_items, user_id, batch_id, rows, self._limits.quota_bytes)
        return True

    def _open(self, user_id: UUID, batch_id: UUID, key: str | None, digest: str) -> Batch:
        values = {"idempotency_key": key, "request_sha256": digest if key else None}
        try:
            batch = self._transactions.run(_open_batch, user_id, batch_id, values)
        except Conflict:
            self._remove(user_id, batch_id)
            raise
        except IntegrityError as error:
            if key is None or not is_duplicate(error):
                raise
            # A concurrent request with the same key was faster.
            self._remove(user_id, batch_id)
            earlier = self._transactions.read(queries.batch_by_key, user_id, key)
            if earlier is None:
                raise
            return self._same(earlier, digest)
        self._announce(batch.n_waiting)
        return batch

    def _same(self, earlier: Batch, digest: str) -> Batch:
        if earlier.request_sha256 != digest:
            raise Conflict("This Idempotency-Key was used with other content; send a new key.")
        return earlier

    def _limits_of(self, files: Sequence[File]) -> None:
        if not files:
            raise _nothing()
        received = _Received(self._limits)
        for file in files:
            received.count(file.size_bytes)

    def _remove(self, user_id: UUID, batch_id: UUID) -> None:
        hashes = self._transactions.run(_forget, batch_id)
        self._stored.discard(user_id, hashes)


class _Received:
    """Counts and hashes the documents of one batch while they arrive."""

    def __init__(self, limits: BatchLimits) -> None:
        self.n_items = 0
        self._n_bytes = 0
        self._limits = limits
        self._parts: list[list[str]] = []

    def stream(self, item: NewItem) -> Readable:
        """Return the item's stream, which raises TooLarge beyond a limit."""
        self._check_number()
        return _Bounded(item, self)

    def count(self, n_bytes: int) -> None:
        """Count a document that is stored already."""
        self._check_number()
        self.n_items += 1
        self.take(n_bytes)

    def take(self, n_bytes: int) -> None:
        """Count bytes; raise TooLarge beyond the limit of all documents together."""
        self._n_bytes += n_bytes
        if self._n_bytes > self._limits.n_bytes:
            raise _too_many_bytes(self._limits.n_bytes)

    def check_file(self, name: str | None, n_bytes: int) -> None:
        """Raise TooLarge if one document is larger than a scan reads."""
        if n_bytes > self._limits.file_bytes:
            raise TooLarge(
                f"{name or 'The text'} has more than the {self._limits.file_bytes:,} bytes that a scan "
                "reads (MAX_FILE_BYTES). Send the others without it."
            )

    def add(self, item: NewItem, sha256: str) -> None:
        """Note a document that has arrived."""
        self.n_items += 1
        self._parts.append([item.name or "", item.media_type, str(item.document_id), sha256])

    def hash(self, item: NewItem) -> None:
        """Read a document only to recognize it."""
        digest, stream = hashlib.sha256(), self.stream(item)
        while block := stream.read(1 << 18):
            digest.update(block)
        self.add(item, digest.hexdigest())

    def digest(self, secret_key: bytes, options: BatchOptions) -> str:
        """Return the signed hash of the whole request; InvalidRequest if it has no document."""
        if not self.n_items:
            raise _nothing()
        return _digest(secret_key, options, self._parts)

    def _check_number(self) -> None:
        if self.n_items >= self._limits.n_files:
            raise TooLarge(
                f"A batch has at most {self._limits.n_files:,} documents (MAX_BATCH_FILES). Send them in "
                "several batches."
            )


class _Bounded:
    """The stream of one document."""

    def __init__(self, item: NewItem, received: _Received) -> None:
        self._item = item
        self._received = received
        self._n_read = 0

    def read(self, n: int, /) -> bytes:
        block = self._item.stream.read(n)
        self._n_read += len(block)
        self._received.check_file(self._item.name, self._n_read)
        self._received.take(len(block))
        return block


def _row(
    user_id: UUID, batch_id: UUID, position: int, *, name: str | None, media_type: str
) -> dict[str, Any]:
    return {
        "id": uuid_utils.compat.uuid7(),
        "batch_id": batch_id,
        "user_id": user_id,
        "position": position,
        "name": name,
        "media_type": media_type,
        "state": ItemState.WAITING,
        "attempts": 0,
        "sha256": None,
        "file_id": None,
        "document_id": None,
    }


def _add_items(
    session: Session, user_id: UUID, batch_id: UUID, rows: Sequence[Mapping[str, Any]], quota: int
) -> None:
    new = {row["sha256"]: row["size_bytes"] for row in rows}
    n_new_bytes = sum(
        size for sha256, size in new.items() if not queries.has_bytes(session, user_id, sha256)
    )
    check_quota(
        used_bytes(session, user_id),
        n_new_bytes,
        quota_bytes=quota,
        remedy="Wait until earlier batches are done, or delete files that you no longer need.",
    )
    queries.add_items(session, batch_id, rows)


def _open_batch(
    session: Session, user_id: UUID, batch_id: UUID, values: Mapping[str, Any]
) -> Batch:
    if values["idempotency_key"] is not None:
        claim_for_batch(session, user_id, values["idempotency_key"])
    batch = queries.open_batch(session, batch_id, values)
    if batch is None:
        raise Unauthenticated("This account was deleted meanwhile.")
    record_created(session, batch)
    return batch


def _forget(session: Session, batch_id: UUID) -> set[str]:
    """Delete a batch, unless it was opened by a COMMIT in doubt; return the hashes of its bytes."""
    hashes = queries.bytes_of_batch(session, batch_id)
    return hashes if queries.delete_received(session, batch_id) else set()


def _digest(secret_key: bytes, options: BatchOptions, parts: Sequence[Sequence[str]]) -> str:
    said = json.dumps([asdict(options), parts]).encode()
    return hmac.new(secret_key, said, hashlib.sha256).hexdigest()


def _too_many_bytes(limit: int) -> TooLarge:
    return TooLarge(
        f"The documents of a batch have at most {limit:,} bytes together, unpacked (MAX_BATCH_BYTES). Send "
        "them in several batches."
    )


def _nothing() -> InvalidRequest:
    message = "Send at least one document: files, an archive, or a session that has files."
    return InvalidRequest(message, faults=(Fault("file", message),))
