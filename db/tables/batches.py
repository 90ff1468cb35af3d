"""Batches of documents and their items. The tables are the queue: workers claim items by their rows."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, row_id
from db.tables.base import Base, one_of

NEVER_SERVED = datetime(1970, 1, 1, tzinfo=UTC)
"""The `served_at` of a batch of which no worker has claimed an item yet."""


class BatchState(StrEnum):
    """`receiving` while its files arrive; nobody sees or claims it before it is queued."""

    RECEIVING = "receiving"
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    CANCELLED = "cancelled"


OPEN_STATES = (BatchState.QUEUED, BatchState.RUNNING)
"""The states in which items may wait or run."""


class ItemState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Batch(Base):
    """Documents that one user sent together, to be scanned by workers.

    The counts are those of the items by state; each transaction that changes an item's state changes them
    too. `sensitivity` and `force_llm` are null where the request was silent. No item is claimed before
    `ready_at`; `served_at` is the time of the last claim.
    """

    __tablename__ = "batches"
    __table_args__ = (
        CheckConstraint(one_of("state", BatchState), name="state"),
        CheckConstraint("n_waiting >= 0", name="n_waiting"),
        CheckConstraint("n_running >= 0", name="n_running"),
        UniqueConstraint("idempotency_key", "user_id"),  # in this order, see r0005
        Index("ix_batches_user_id", "user_id"),
        Index("ix_batches_user_id_created_at_id", "user_id", "created_at", "id"),
        Index("ix_batches_user_id_served_at", "user_id", "served_at"),
        Index("ix_batches_state", "state"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(exact(255))
    sensitivity: Mapped[str | None] = mapped_column(exact(16))
    force_llm: Mapped[bool | None]
    state: Mapped[str] = mapped_column(exact(16))
    n_waiting: Mapped[int] = mapped_column(default=0)
    n_running: Mapped[int] = mapped_column(default=0)
    n_done: Mapped[int] = mapped_column(default=0)
    n_failed: Mapped[int] = mapped_column(default=0)
    n_cancelled: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ready_at: Mapped[datetime] = mapped_column(UtcDateTime)
    served_at: Mapped[datetime] = mapped_column(UtcDateTime, default=NEVER_SERVED)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    idempotency_key: Mapped[str | None] = mapped_column(exact(255))
    request_sha256: Mapped[str | None] = mapped_column(exact(64))

    @property
    def n_items(self) -> int:
        """Number of items in all states."""
        return self.n_waiting + self.n_running + self.n_done + self.n_failed + self.n_cancelled


class BatchItem(Base):
    """One document of a batch, numbered from 1; the user is the batch's.

    `sha256` names its bytes in the user's store of batches; it is null for a file of a session (`file_id`),
    and once the bytes are not needed any more. A pasted text has no name. `document_id` is the document whose
    next version it is. `claim_id` is new for each claim: only a worker that still has it may store a result.
    `file_id`, `document_id` and `scan_id` are no foreign keys, since their rows may be deleted earlier.
    """

    __tablename__ = "batch_items"
    __table_args__ = (
        CheckConstraint(one_of("state", ItemState), name="state"),
        CheckConstraint("position >= 1", name="position"),
        CheckConstraint("size_bytes >= 0", name="size_bytes"),
        UniqueConstraint("batch_id", "position"),
        Index("ix_batch_items_user_id", "user_id"),
        Index("ix_batch_items_batch_id", "batch_id"),
        Index(
            "ix_batch_items_batch_id_state_attempts_position",
            "batch_id",
            "state",
            "attempts",
            "position",
        ),
        Index("ix_batch_items_state_lease_until", "state", "lease_until"),
        Index("ix_batch_items_sha256_user_id", "sha256", "user_id"),
        Index("ix_batch_items_finished_at_batch_id", "finished_at", "batch_id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    batch_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("batches.id", ondelete="CASCADE"))
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    position: Mapped[int]
    name: Mapped[str | None] = mapped_column(exact(255))
    media_type: Mapped[str] = mapped_column(exact(127))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(exact(64))
    file_id: Mapped[UUID | None] = mapped_column(row_id())
    document_id: Mapped[UUID | None] = mapped_column(row_id())
    state: Mapped[str] = mapped_column(exact(16))
    attempts: Mapped[int] = mapped_column(default=0)
    worker: Mapped[str | None] = mapped_column(exact(100))
    claim_id: Mapped[UUID | None] = mapped_column(row_id())
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    scan_id: Mapped[UUID | None] = mapped_column(row_id())
    error_code: Mapped[str | None] = mapped_column(exact(64))
    error_detail: Mapped[str | None] = mapped_column(exact(1000))
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
