"""Signed links to the report of a scan, which work without a log-in until they expire; none is stored.

Each use checks what its maker may read now: a link ends with the account, its access or the scan.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy.orm import Session

from db.tables import Scan, User
from service.domain.access import readable
from service.domain.audit import Action, Actor, event, record
from service.domain.reports.reports import Format, require_scan
from service.domain.transactions import Transactions
from service.errors import NotFound

MIN_LIFE, MAX_LIFE = timedelta(minutes=1), timedelta(days=30)
_ENDED = "This link does not work: it expired, its scan or its maker's access is gone, or it is incomplete."


@dataclass(frozen=True, slots=True)
class ReportLink:
    """A link's token, and when it expires."""

    token: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LinkedReport:
    """What a link leads to: the report of a scan in a format, as its maker reads it."""

    user: User
    scan: Scan
    file_format: Format


def now_s() -> float:
    """Return the time by which links expire, in seconds since 1970."""
    return datetime.now(UTC).timestamp()


class ReportLinks:
    """Makes and reads links."""

    def __init__(self, transactions: Transactions, *, secret_key: str) -> None:
        self._transactions = transactions
        self._serializer = URLSafeSerializer(
            secret_key, salt="report-link", signer_kwargs={"digest_method": hashlib.sha256}
        )

    def create(
        self, user: User, scan_id: UUID, file_format: Format, *, life: timedelta
    ) -> ReportLink:
        """Return a new link of a user; NotFound if the user may not read the scan."""
        expires_at = datetime.now(UTC).replace(microsecond=0) + life
        detail = {"format": file_format, "expires_at": expires_at.isoformat()}

        def note(session: Session) -> None:
            require_scan(session, readable(user), scan_id)
            made = event(
                Action.REPORT_LINK_CREATED,
                actor=Actor(user.id),
                object_type="scan",
                object_id=scan_id,
                detail=detail,
            )
            record(session, made)

        self._transactions.run(note)
        content = [user.id.hex, scan_id.hex, str(file_format), int(expires_at.timestamp())]
        return ReportLink(self._serializer.dumps(content), expires_at)

    def open(self, token: str) -> LinkedReport:
        """Return what a link leads to; NotFound if it does not work any more."""
        try:
            user_hex, scan_hex, name, expires_s = self._serializer.loads(token)
        except BadSignature as error:
            raise NotFound(_ENDED) from error
        if now_s() >= expires_s:
            raise NotFound(_ENDED)
        user, scan = self._transactions.read(_find, UUID(user_hex), UUID(scan_hex))
        return LinkedReport(user, scan, Format(name))


def _find(session: Session, user_id: UUID, scan_id: UUID) -> tuple[User, Scan]:
    user = session.get(User, user_id)
    if user is None or user.disabled_at is not None:
        raise NotFound(_ENDED)
    try:
        return user, require_scan(session, readable(user), scan_id)
    except NotFound as error:
        raise NotFound(_ENDED) from error
