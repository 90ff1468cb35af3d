"""Seals the audit trail, so that a later change of it shows.

Every minute one process numbers the new events and gives each the sha256 of its content and of the digest
before it. So whoever changes, removes or inserts a sealed event breaks the chain there. Whoever can write the
database could compute the whole chain again: a seal that was exported and is kept elsewhere shows that, too.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from itsdangerous import Signer
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate
from db.queries import audit as queries
from db.tables import AuditEvent, AuditSeal
from service.config.settings import Config
from service.domain.transactions import Transactions
from service.errors import InvalidRequest

BATCH = 500
"""Events sealed in one transaction, or verified at a time."""
FIRST_DIGEST = ""
"""The digest before the first event."""


@dataclass(frozen=True, slots=True)
class ExportedSeal:
    """A seal to keep outside the database; the signature needs SECRET_KEY."""

    last_n: int
    digest: str
    sealed_at: str
    signature: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many sealed events are in order, and what is wrong with the first that is not."""

    n_events: int
    fault: str | None = None


class AuditSeals:
    """Seals, verifies and exports the trail of one database."""

    def __init__(self, config: Config, transactions: Transactions) -> None:
        self._transactions = transactions
        self._signer = Signer(config.secret_key, salt="audit-seal", digest_method=hashlib.sha256)

    def seal(self) -> int:
        """Seal all events that have no seal; return how many this call sealed.

        A process that meets another one at this leaves the rest to it.
        """
        n_sealed = 0
        while True:
            try:
                n = self._transactions.run(_seal_some)
            except IntegrityError as error:
                if not is_duplicate(error):
                    raise
                return n_sealed
            n_sealed += n
            if n < BATCH:
                return n_sealed

    def newest(self) -> ExportedSeal | None:
        """Return the newest seal with its signature; None if nothing is sealed yet."""
        seal = self._transactions.read(queries.newest_seal)
        if seal is None:
            return None
        sealed_at = seal.sealed_at.isoformat()
        return ExportedSeal(
            seal.last_n,
            seal.digest,
            sealed_at,
            self._signature(seal.last_n, seal.digest, sealed_at),
        )

    def verify(self, kept: Mapping[str, Any] | None = None) -> Verdict:
        """Check all sealed events against their digests, the seals, and an exported seal that was kept.

        Raises:
            InvalidRequest: `kept` is no exported seal, or was not signed with this SECRET_KEY.
        """
        expected = None if kept is None else self._read(kept)
        digest, n = FIRST_DIGEST, 0
        while events := self._transactions.read(queries.list_sealed, after_n=n, limit=BATCH):
            seals = self._seals_between(n, events[-1].n or 0)
            for event in events:
                if fault := _fault(event, n + 1, digest):
                    return Verdict(n, fault)
                n, digest = n + 1, event.digest or ""
                if seals.get(n, digest) != digest:
                    return Verdict(n, f"Event {n} ({event.id}) differs from its seal.")
                if expected is not None and n == expected.last_n and digest != expected.digest:
                    return Verdict(
                        n, f"Event {n} ({event.id}) or one before it differs from your seal."
                    )
        return Verdict(n, self._missing_end(n, expected))

    def _seals_between(self, after_n: int, until_n: int) -> dict[int, str]:
        seals = self._transactions.read(queries.list_seals, after_n=after_n, until_n=until_n)
        return {seal.last_n: seal.digest for seal in seals}

    def _missing_end(self, n: int, expected: ExportedSeal | None) -> str | None:
        newest = self._transactions.read(queries.newest_seal)
        last = max(newest.last_n if newest else 0, expected.last_n if expected else 0)
        return f"The events {n + 1} to {last} are missing." if last > n else None

    def _read(self, kept: Mapping[str, Any]) -> ExportedSeal:
        try:
            seal = ExportedSeal(**kept)
            signature = self._signature(seal.last_n, seal.digest, seal.sealed_at)
            is_ours = hmac.compare_digest(signature, seal.signature)
        except TypeError as error:
            fields = ", ".join(ExportedSeal.__dataclass_fields__)
            raise InvalidRequest(
                f"This is no exported seal: it has the fields {fields}."
            ) from error
        if not is_ours:
            raise InvalidRequest(
                "This seal was altered, or signed with another SECRET_KEY. Verify it under the SECRET_KEY "
                "that the service had when it was exported. If that key is lost, verify without the seal "
                "and export a new one."
            )
        return seal

    def _signature(self, last_n: int, digest: str, sealed_at: str) -> str:
        return self._signer.get_signature(f"{last_n} {digest} {sealed_at}").decode()


def _seal_some(session: Session) -> int:
    """Seal up to BATCH events; return how many."""
    before = queries.lock_newest_seal(session)
    n, digest = (before.last_n, before.digest) if before else (0, FIRST_DIGEST)
    digests = {}
    for event in queries.list_unsealed(session, limit=BATCH):
        n += 1
        digest = digest_of(event, n, digest)
        digests[event.id] = (n, digest)
    if digests:
        number = before.number + 1 if before else 1
        seal = AuditSeal(number=number, last_n=n, digest=digest, sealed_at=datetime.now(UTC))
        queries.add_seal(session, digests, seal)
    return len(digests)


def digest_of(event: AuditEvent, n: int, before: str) -> str:
    """Return the sha256 (hex) of an event's content, its number and the digest before."""
    content = [
        before,
        n,
        event.id.hex,
        event.created_at.astimezone(UTC).isoformat(timespec="microseconds"),
        event.action,
        event.user_id.hex if event.user_id else None,
        event.object_type,
        event.object_id,
        event.request_id,
        event.detail,
        *filter(None, [event.personal_digest]),
    ]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _fault(event: AuditEvent, n: int, before: str) -> str | None:
    """Return what is wrong with the event that should have the number n; None if nothing is."""
    if event.n != n:
        missing = (
            f"Event {n} is" if event.n == n + 1 else f"The events {n} to {(event.n or 0) - 1} are"
        )
        return f"{missing} missing."
    is_address_sound = (
        not event.personal or queries.personal_digest(event.personal) == event.personal_digest
    )
    if event.digest != digest_of(event, n, before) or not is_address_sound:
        return f"Event {n} ({event.id}, {event.action}) was changed after it was sealed."
    return None
