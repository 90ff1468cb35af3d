"""Tables as typed classes; the migrations make them, a test compares both.

No relationships: queries say what they read, so nothing is loaded behind a loop's back.
CHECKs stand at table level because MariaDB refuses a named one inside a column.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    MetaData,
    String,
    UniqueConstraint,
    desc,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.columns import UtcDateTime, exact, long_binary, long_text, row_id

_NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}


def _now() -> datetime:
    return datetime.now(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=_NAMES)


class User(Base):
    """An account; `email` is stored lower-cased."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("role IN ('user', 'reviewer', 'admin')", name="role"),
        UniqueConstraint("email"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    email: Mapped[str] = mapped_column(exact(254))
    password_hash: Mapped[str] = mapped_column(exact(255))
    role: Mapped[str] = mapped_column(exact(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime | None] = mapped_column(UtcDateTime, onupdate=_now)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    @property
    def changed_at(self) -> datetime:
        """When the account was last changed; `updated_at` is null where an older version made it."""
        return self.updated_at or self.created_at


class Login(Base):
    """One log-in and its family of refresh tokens; access tokens carry its id.

    `client_address` is the client that logged in. `last_used_at` lags behind by a minute at most.
    """

    __tablename__ = "logins"
    __table_args__ = (Index("ix_logins_user_id", "user_id"),)

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    client_address: Mapped[str | None] = mapped_column(exact(64))
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_reason: Mapped[str | None] = mapped_column(String(64))


class RefreshToken(Base):
    """A refresh token, by the sha256 (hex) of its value; used once."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        Index("ix_refresh_tokens_login_id", "login_id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    login_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("logins.id", ondelete="CASCADE"))
    token_hash: Mapped[str] = mapped_column(exact(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Scan(Base):
    """One scanned document. `id` is a UUIDv7 of the caller's, so that a repeated insert is known."""

    __tablename__ = "scans"
    __table_args__ = (
        CheckConstraint("source IN ('model', 'llm')", name="source"),
        CheckConstraint("n_findings >= 0", name="n_findings"),
        UniqueConstraint("idempotency_key", "user_id"),  # in this order, see r0005
        Index("ix_scans_user_id", "user_id"),
        Index("ix_scans_created_at_id", desc("created_at"), desc("id")),
        Index("ix_scans_user_id_created_at_id", "user_id", desc("created_at"), desc("id")),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    filename: Mapped[str | None] = mapped_column(exact(255))
    data: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    source: Mapped[str] = mapped_column(exact(16))
    sensitivity: Mapped[str | None] = mapped_column(exact(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    model_name: Mapped[str] = mapped_column(String(255))
    model_version: Mapped[str] = mapped_column(String(255))
    document_sha256: Mapped[str] = mapped_column(exact(64))
    coverage: Mapped[dict[str, Any]] = mapped_column(JSON)
    n_findings: Mapped[int]
    idempotency_key: Mapped[str | None] = mapped_column(exact(255))
    request_sha256: Mapped[str | None] = mapped_column(exact(64))


class Finding(Base):
    """A finding of a scan, numbered from 1 in document order; `end` is exclusive.

    A risk or category of another service that is not in the taxonomy has no key; `foreign_risk` or
    `foreign_category` holds its title. A context that is not in the text has no span.
    """

    __tablename__ = "findings"
    __table_args__ = (
        CheckConstraint("n >= 1", name="n"),
        CheckConstraint("score >= 0 AND score <= 1", name="score"),
        CheckConstraint("span_start >= 0 AND span_end > span_start", name="span"),
        CheckConstraint("page >= 1", name="page"),
        Index("ix_findings_risk_type_scan_id", "risk_type", "scan_id"),
        Index("ix_findings_category_scan_id", "category", "scan_id"),
    )

    scan_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True
    )
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    risk_type: Mapped[str | None] = mapped_column(exact(64))
    category: Mapped[str | None] = mapped_column(exact(64))
    score: Mapped[float | None] = mapped_column(Double)
    context: Mapped[str] = mapped_column(long_text())
    start: Mapped[int | None] = mapped_column("span_start", key="start")  # words of SQL
    end: Mapped[int | None] = mapped_column("span_end", key="end")
    page: Mapped[int | None]
    foreign_risk: Mapped[str | None] = mapped_column(exact(255))
    foreign_category: Mapped[str | None] = mapped_column(exact(255))


class Feedback(Base):
    """A user's verdict on a finding, or report of a missed risk; rows never change.

    A changed verdict is a new row with the next `revision`; the newest counts. The unique constraint
    refuses a second row with the same revision, as two concurrent writers would insert. `n` is the
    finding's number; for a missed risk it is 0, and `context` holds the sentence. The span is the
    finding's, or (0, 0) if it has none. `risk_types` are the types by this verdict; `role` is the author's
    role at that time. `verified` says that the service saw the sentence in the document. No foreign key to
    the author: a verdict outlives the account, as the audit trail does.
    """

    __tablename__ = "feedback"
    __table_args__ = (
        CheckConstraint("n >= 0", name="n"),
        CheckConstraint(
            "span_start >= 0 AND (span_end > span_start OR (n > 0 AND span_start = 0 AND span_end = 0))",
            name="span",
        ),
        CheckConstraint("revision >= 1", name="revision"),
        CheckConstraint(
            "verdict IN ('confirmed', 'rejected', 'relabelled', 'missed', 'withdrawn')",
            name="verdict",
        ),
        UniqueConstraint("scan_id", "user_id", "n", "span_start", "span_end", "revision"),
        Index("ix_feedback_scan_id_created_at_id", "scan_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    scan_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("scans.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(row_id())
    role: Mapped[str] = mapped_column(exact(16))
    n: Mapped[int]
    start: Mapped[int] = mapped_column("span_start")
    end: Mapped[int] = mapped_column("span_end")
    revision: Mapped[int]
    verdict: Mapped[str] = mapped_column(exact(16))
    risk_types: Mapped[list[str]] = mapped_column(JSON)
    context: Mapped[str | None] = mapped_column(long_text())
    comment: Mapped[str | None] = mapped_column(long_text())
    verified: Mapped[bool] = mapped_column(server_default=false())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AuditEvent(Base):
    """What was done, by whom, to what. No foreign key: the trail outlives the account."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_created_at_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    action: Mapped[str] = mapped_column(exact(64))
    user_id: Mapped[UUID | None] = mapped_column(row_id())
    object_type: Mapped[str] = mapped_column(exact(64))
    object_id: Mapped[str | None] = mapped_column(exact(255))
    request_id: Mapped[str | None] = mapped_column(exact(64))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)


class Deployment(Base):
    """A change of the model that serves or shadows; appended, never changed.

    `n` counts from 1 without gaps, so that of two made at once one fails. Models are told as
    "name/version". `from_model` served, or for shadow_off shadowed, before. No foreign key: the record
    outlives the account.
    """

    __tablename__ = "deployments"
    __table_args__ = (
        CheckConstraint("kind IN ('activate', 'rollback', 'shadow', 'shadow_off')", name="kind"),
        CheckConstraint("n >= 1", name="n"),
        CheckConstraint("share >= 0 AND share <= 1", name="share"),
        UniqueConstraint("n"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    n: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(exact(16))
    from_model: Mapped[str] = mapped_column(exact(191))
    to_model: Mapped[str | None] = mapped_column(exact(191))
    manifest_sha256: Mapped[str | None] = mapped_column(exact(64))
    share: Mapped[float | None] = mapped_column(Double)
    actor: Mapped[str] = mapped_column(exact(255))
    why: Mapped[str | None] = mapped_column(String(1000))
    forced: Mapped[bool]
    metrics: Mapped[dict[str, Any]] = mapped_column(JSON)


class ShadowTotal(Base):
    """What shadowing measured for one pair of models: findings of both, and of one alone."""

    __tablename__ = "shadow_totals"

    serving: Mapped[str] = mapped_column(exact(191), primary_key=True)
    shadow: Mapped[str] = mapped_column(exact(191), primary_key=True)
    n_scans: Mapped[int] = mapped_column(BigInteger)
    n_sentences: Mapped[int] = mapped_column(BigInteger)
    n_agreeing: Mapped[int] = mapped_column(BigInteger)
    n_only_serving: Mapped[int] = mapped_column(BigInteger)
    n_only_shadow: Mapped[int] = mapped_column(BigInteger)
    n_dropped: Mapped[int] = mapped_column(BigInteger)
    abs_score_difference: Mapped[float] = mapped_column(Double)  # summed over n_agreeing
    first_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WriteProbe(Base):
    """One row, `id` 1; the readiness check writes it to test whether the database accepts writes.

    `payload` uses space during such a write, so that the last free bytes of a full disk do not suffice.
    """

    __tablename__ = "write_probe"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    written_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    payload: Mapped[bytes | None] = mapped_column(long_binary())
