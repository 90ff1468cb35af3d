"""Accounts, their log-ins and refresh tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base, one_of
from db.tables.roles import Role


def _now() -> datetime:
    return datetime.now(UTC)


NO_PASSWORD = ""
"""The password hash of an account whose owner has chosen no password yet; no password matches it."""
SSO_ONLY = "sso"
"""The password hash of an account whose owner logs in by single sign-on alone; no password matches it."""


class AccountState(StrEnum):
    """Whether people can log in to an account."""

    ENABLED = "enabled"
    INVITED = "invited"
    SSO = "sso"
    DISABLED = "disabled"


_STATES = {NO_PASSWORD: AccountState.INVITED, SSO_ONLY: AccountState.SSO}
"""The states of accounts without a password."""


class User(Base):
    """An account; `email` is stored lower-cased."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint(one_of("role", Role), name="role"),
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
        """When the account was last changed; `updated_at` is null if an older version created it."""
        return self.updated_at or self.created_at

    @property
    def state(self) -> AccountState:
        """Disabled, invited (without a password yet), sso (without a password for good), or enabled."""
        if self.disabled_at is not None:
            return AccountState.DISABLED
        return _STATES.get(self.password_hash, AccountState.ENABLED)


class Login(Base):
    """One log-in and its family of refresh tokens; access tokens carry its id.

    `client_address` is the client that logged in. `last_used_at` is at most a minute late.
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
