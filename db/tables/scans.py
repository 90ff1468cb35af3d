"""Stored scans and their findings."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Double,
    ForeignKey,
    Index,
    String,
    UniqueConstraint,
    desc,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, long_text, row_id
from db.tables.base import Base, one_of


class Source(StrEnum):
    """What analyzed a scan. The CHECK of scans is built from these values.

    nlp has the same values as a Literal, since db and nlp do not import each other; a test compares them.
    """

    MODEL = "model"
    LLM = "llm"


class Scan(Base):
    """One scan of a document; the caller generates `id`, a UUIDv7.

    `document_id` is null in scans that are older than the table of documents. `n_unflagged` is the number of
    sentences without a finding from which a sample was drawn for reviewers; null if none was drawn.
    """

    __tablename__ = "scans"
    __table_args__ = (
        CheckConstraint(one_of("source", Source), name="source"),
        CheckConstraint("n_findings >= 0", name="n_findings"),
        UniqueConstraint("idempotency_key", "user_id"),  # in this order, see r0005
        Index("ix_scans_user_id", "user_id"),
        Index("ix_scans_document_id", "document_id"),
        Index("ix_scans_created_at_id", desc("created_at"), desc("id")),
        Index("ix_scans_user_id_created_at_id", "user_id", desc("created_at"), desc("id")),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    document_id: Mapped[UUID | None] = mapped_column(
        row_id(), ForeignKey("documents.id", ondelete="CASCADE")
    )
    filename: Mapped[str | None] = mapped_column(exact(255))
    source: Mapped[str] = mapped_column(exact(16))
    sensitivity: Mapped[str | None] = mapped_column(exact(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    model_name: Mapped[str] = mapped_column(String(255))
    model_version: Mapped[str] = mapped_column(String(255))
    document_sha256: Mapped[str] = mapped_column(exact(64))
    coverage: Mapped[dict[str, Any]] = mapped_column(JSON)
    n_findings: Mapped[int]
    n_unflagged: Mapped[int | None]
    idempotency_key: Mapped[str | None] = mapped_column(exact(255))
    request_sha256: Mapped[str | None] = mapped_column(exact(64))


class Finding(Base):
    """A finding of a scan, numbered from 1 in document order; `end` is exclusive.

    Another service's risk or category has no key if it is not in the taxonomy; `foreign_risk` or
    `foreign_category` then holds its title. A context that is not in the text has no span.

    `part` is the sheet, slide, attachment or file of an archive, in which `page` counts; `heading` is the
    header of a cell's column; `ocr` says that the page's picture was read.

    `fingerprint` is the same for the same finding in another scan. It is empty for findings that a process of
    an earlier version stored during the upgrade.
    """

    __tablename__ = "findings"
    __table_args__ = (
        CheckConstraint("n >= 1", name="n"),
        CheckConstraint("score >= 0 AND score <= 1", name="score"),
        CheckConstraint("span_start >= 0 AND span_end > span_start", name="span"),
        CheckConstraint("page >= 1", name="page"),
        Index("ix_findings_risk_type_scan_id", "risk_type", "scan_id"),
        Index("ix_findings_category_scan_id", "category", "scan_id"),
        Index("ix_findings_scan_id_fingerprint", "scan_id", "fingerprint"),
    )

    scan_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("scans.id", ondelete="CASCADE"), primary_key=True
    )
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    risk_type: Mapped[str | None] = mapped_column(exact(64))
    category: Mapped[str | None] = mapped_column(exact(64))
    score: Mapped[float | None] = mapped_column(Double)
    context: Mapped[str] = mapped_column(long_text())
    # START and END are SQL words.
    start: Mapped[int | None] = mapped_column("span_start", key="start")
    end: Mapped[int | None] = mapped_column("span_end", key="end")
    page: Mapped[int | None]
    foreign_risk: Mapped[str | None] = mapped_column(exact(255))
    foreign_category: Mapped[str | None] = mapped_column(exact(255))
    part: Mapped[str | None] = mapped_column(exact(640))
    heading: Mapped[str | None] = mapped_column(exact(255))
    ocr: Mapped[bool] = mapped_column(server_default=false())
    fingerprint: Mapped[str] = mapped_column(exact(32), server_default="")
