"""Teams, their members, and what their members share with them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base


class Team(Base):
    """A team; `name_key` is the name without regard to case, which no two teams have in common."""

    __tablename__ = "teams"
    __table_args__ = (
        UniqueConstraint("name_key"),
        Index("ix_teams_created_at_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    name: Mapped[str] = mapped_column(exact(100))
    name_key: Mapped[str] = mapped_column(exact(300))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class TeamMember(Base):
    """The membership of an account in a team."""

    __tablename__ = "team_members"
    __table_args__ = (Index("ix_team_members_team_id", "team_id"),)

    user_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    team_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True
    )


class DocumentShare(Base):
    """A document that its owner shares with a team, and with it the scans of the document."""

    __tablename__ = "document_shares"
    __table_args__ = (Index("ix_document_shares_team_id", "team_id"),)

    document_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    team_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True
    )


class ScanShare(Base):
    """A scan that its owner shares with a team, without its document."""

    __tablename__ = "scan_shares"
    __table_args__ = (Index("ix_scan_shares_team_id", "team_id"),)

    scan_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True
    )
    team_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True
    )


class WorkSessionShare(Base):
    """A work session that its owner shares with a team, and with it the session's files."""

    __tablename__ = "work_session_shares"
    __table_args__ = (Index("ix_work_session_shares_team_id", "team_id"),)

    work_session_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("work_sessions.id", ondelete="CASCADE"), primary_key=True
    )
    team_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True
    )
