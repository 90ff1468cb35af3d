"""Deployments of models, and what shadowing measured."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, CheckConstraint, Double, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base, one_of


class DeploymentKind(StrEnum):
    """What a deployment changes. The CHECK of deployments is built from these values."""

    ACTIVATE = "activate"
    ROLLBACK = "rollback"
    SHADOW = "shadow"
    SHADOW_OFF = "shadow_off"


class Deployment(Base):
    """A change of the serving or shadowing model; rows are appended, never changed.

    `n` counts from 1 without gaps, so one of two concurrent deployments fails. Models are "name/version".
    `from_model` is the model that served before, or that shadowed before `shadow_off`. `actor` has no
    foreign key: the record outlives the account.
    """

    __tablename__ = "deployments"
    __table_args__ = (
        CheckConstraint(one_of("kind", DeploymentKind), name="kind"),
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
