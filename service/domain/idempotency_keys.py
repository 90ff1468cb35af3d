"""An Idempotency-Key names scans or a batch of a user: a request that is sent both ways is scanned once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import batches, scans, users
from db.tables import Batch, File, Scan
from service.errors import Conflict


def scan_of_key(session: Session, user_id: UUID, key: str) -> Scan | None:
    """Return the scan that a user stored under a key; Conflict if the key names a batch."""
    scan = scans.scan_by_key(session, user_id, key)
    if scan is None and (batch := batches.batch_by_key(session, user_id, key)):
        raise _used_for("batch", f"/api/v1/batches/{batch.id}")
    return scan


def batch_of_key(
    session: Session, user_id: UUID, key: str, files: Collection[File] = ()
) -> Batch | None:
    """Return the batch that a user sent with a key; Conflict if the key names a scan, or one of `files`."""
    batch = batches.batch_by_key(session, user_id, key)
    if batch is None:
        keys = [key, *(key_of_file(key, file) for file in files)]
        if (scan_id := scans.any_by_key(session, user_id, keys)) is not None:
            raise _used_for("scan", f"/api/v1/scans/{scan_id}")
    return batch


def claim_for_scan(session: Session, user_id: UUID, key: str) -> None:
    """Raise Conflict if the key names a batch; no batch takes it until the transaction ends."""
    users.lock_user(session, user_id)
    scan_of_key(session, user_id, key)


def claim_for_batch(session: Session, user_id: UUID, key: str) -> None:
    """Raise Conflict if the key names a scan; no scan takes it until the transaction ends."""
    users.lock_user(session, user_id)
    batch_of_key(session, user_id, key)


def key_of_file(key: str, file: File) -> str:
    """Return the key of one file's scan within a request for many."""
    return hashlib.sha256(f"{key} {file.id}".encode()).hexdigest()


def _used_for(thing: str, path: str) -> Conflict:
    return Conflict(f"This Idempotency-Key was used for a {thing}: GET {path}, or send a new key.")
