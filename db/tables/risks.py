"""The risk register: risks, the findings that support them, notes, and who changed what."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, Double, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, long_text, row_id
from db.tables.base import Base, one_of

LEAST, MOST = 1, 5
"""The scale of likelihood and impact."""


class RiskState(StrEnum):
    """What is done about a risk. The CHECK of risks is built from these values."""

    OPEN = "open"
    MITIGATING = "mitigating"
    ACCEPTED = "accepted"
    CLOSED = "closed"


class Risk(Base):
    """A risk of the register; `user_id` created it, `owner_id` answers for it, the team's members see it.

    There is no foreign key to accounts: a team's risk outlives those of its creator and owner. `category` and
    `risk_type` are keys of a taxonomy. `version` counts the changes from 1. The rating is likelihood times
    impact, and is not stored.
    """

    __tablename__ = "risks"
    __table_args__ = (
        CheckConstraint(one_of("state", RiskState), name="state"),
        CheckConstraint(f"likelihood >= {LEAST} AND likelihood <= {MOST}", name="likelihood"),
        CheckConstraint(f"impact >= {LEAST} AND impact <= {MOST}", name="impact"),
        CheckConstraint("version >= 1", name="version"),
        Index("ix_risks_user_id_created_at_id", "user_id", "created_at", "id"),
        Index("ix_risks_owner_id", "owner_id"),
        Index("ix_risks_team_id_created_at_id", "team_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(row_id())
    owner_id: Mapped[UUID] = mapped_column(row_id())
    team_id: Mapped[UUID | None] = mapped_column(
        row_id(), ForeignKey("teams.id", ondelete="SET NULL")
    )
    title: Mapped[str] = mapped_column(exact(200))
    description: Mapped[str] = mapped_column(long_text())
    category: Mapped[str | None] = mapped_column(exact(64))
    risk_type: Mapped[str | None] = mapped_column(exact(64))
    likelihood: Mapped[int]
    impact: Mapped[int]
    due_on: Mapped[date | None]
    mitigation: Mapped[str] = mapped_column(long_text())
    state: Mapped[str] = mapped_column(exact(16))
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @property
    def rating(self) -> int:
        """Likelihood times impact, 1 to 25."""
        return self.likelihood * self.impact


class RiskFinding(Base):
    """A copy of a finding that supports a risk, which outlives the scan.

    `series_id` is that of the scan's document, in which later findings with the same `fingerprint` are the
    same. `source_user_id` owns the scan, `user_id` added the finding to the risk; context, file name and part
    are blanked when the account of the former is deleted.
    """

    __tablename__ = "risk_findings"
    __table_args__ = (
        CheckConstraint("n >= 1", name="n"),
        UniqueConstraint("risk_id", "scan_id", "n"),
        Index("ix_risk_findings_risk_id_created_at_id", "risk_id", "created_at", "id"),
        Index("ix_risk_findings_scan_id", "scan_id"),
        Index("ix_risk_findings_series_id_fingerprint", "series_id", "fingerprint"),
        Index("ix_risk_findings_source_user_id", "source_user_id"),
        Index("ix_risk_findings_user_id_id", "user_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    risk_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("risks.id", ondelete="CASCADE"))
    scan_id: Mapped[UUID] = mapped_column(row_id())
    n: Mapped[int]
    series_id: Mapped[UUID | None] = mapped_column(row_id())
    fingerprint: Mapped[str] = mapped_column(exact(32))
    filename: Mapped[str | None] = mapped_column(exact(255))
    context: Mapped[str] = mapped_column(long_text())
    risk: Mapped[str] = mapped_column(exact(255))
    category: Mapped[str] = mapped_column(exact(255))
    score: Mapped[float | None] = mapped_column(Double)
    part: Mapped[str | None] = mapped_column(exact(640))
    page: Mapped[int | None]
    scanned_at: Mapped[datetime] = mapped_column(UtcDateTime)
    source_user_id: Mapped[UUID] = mapped_column(row_id())
    user_id: Mapped[UUID] = mapped_column(row_id())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RiskNote(Base):
    """A note on a risk; notes never change."""

    __tablename__ = "risk_notes"
    __table_args__ = (
        Index("ix_risk_notes_risk_id_created_at_id", "risk_id", "created_at", "id"),
        Index("ix_risk_notes_user_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    risk_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("risks.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(row_id())
    text: Mapped[str] = mapped_column(long_text())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RiskChange(Base):
    """One field of a risk that somebody changed; `before` and `after` are its values as text, or null."""

    __tablename__ = "risk_changes"
    __table_args__ = (
        Index("ix_risk_changes_risk_id_created_at_id", "risk_id", "created_at", "id"),
        Index("ix_risk_changes_user_id", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    risk_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("risks.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(row_id())
    field: Mapped[str] = mapped_column(exact(32))
    before: Mapped[str | None] = mapped_column("value_before", long_text())
    after: Mapped[str | None] = mapped_column("value_after", long_text())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
