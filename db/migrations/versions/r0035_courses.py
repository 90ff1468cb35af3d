"""Courses with lessons and files, enrolments and progress.

A downgrade deletes them.

Rule about locks: the tables are new. An interrupted revision can run again.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.columns import exact, long_binary, long_text, row_id, table_options, time

revision = "0035"
down_revision: str | None = "0034"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Create the tables."""
    present = sa.inspect(op.get_bind()).get_table_names()
    for name, create in _TABLES.items():
        if name not in present:
            create()


def downgrade() -> None:
    """Drop the tables."""
    for name in reversed(_TABLES):
        op.drop_table(name, if_exists=True)


def _create_courses() -> None:
    op.create_table(
        "courses",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("code", exact(40), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", long_text(), nullable=False),
        sa.Column("status", exact(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("updated_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_courses"),
        sa.UniqueConstraint("code", name="uq_courses_code"),
        sa.CheckConstraint(
            "status IN ('draft', 'active', 'archived')", name=op.f("ck_courses_status")
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_courses_version")),
        sa.Index("ix_courses_created_at_id", "created_at", "id"),
        **table_options(),
    )


def _create_topics() -> None:
    op.create_table(
        "course_topics",
        sa.Column("course_id", row_id(), nullable=False),
        sa.Column("kind", exact(16), nullable=False),
        sa.Column("topic", exact(64), nullable=False),
        sa.PrimaryKeyConstraint("course_id", "kind", "topic", name="pk_course_topics"),
        _foreign_key("course_topics", "course_id", "courses"),
        sa.CheckConstraint("kind IN ('category', 'risk_type')", name=op.f("ck_course_topics_kind")),
        sa.Index("ix_course_topics_kind_topic", "kind", "topic"),
        **table_options(),
    )


def _create_lessons() -> None:
    op.create_table(
        "lessons",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("course_id", row_id(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("source", long_text(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("quiz", sa.JSON(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.Column("updated_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lessons"),
        _foreign_key("lessons", "course_id", "courses"),
        sa.CheckConstraint("position >= 1", name=op.f("ck_lessons_position")),
        sa.CheckConstraint("minutes >= 1", name=op.f("ck_lessons_minutes")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_lessons_version")),
        sa.Index("ix_lessons_course_id", "course_id"),
        **table_options(),
    )


def _create_files() -> None:
    op.create_table(
        "course_files",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("course_id", row_id(), nullable=False),
        sa.Column("name", exact(255), nullable=False),
        sa.Column("media_type", exact(127), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", exact(64), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_course_files"),
        sa.UniqueConstraint("course_id", "name", name="uq_course_files_course_id_name"),
        _foreign_key("course_files", "course_id", "courses"),
        sa.CheckConstraint("size_bytes >= 0", name=op.f("ck_course_files_size_bytes")),
        **table_options(),
    )


def _create_pieces() -> None:
    op.create_table(
        "course_file_pieces",
        sa.Column("file_id", row_id(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("data", long_binary(), nullable=False),
        sa.PrimaryKeyConstraint("file_id", "n", name="pk_course_file_pieces"),
        _foreign_key("course_file_pieces", "file_id", "course_files"),
        sa.CheckConstraint("n >= 1", name=op.f("ck_course_file_pieces_n")),
        **table_options(),
    )


def _create_enrolments() -> None:
    op.create_table(
        "enrolments",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("course_id", row_id(), nullable=False),
        sa.Column("source", exact(16), nullable=False),
        sa.Column("due_at", time(), nullable=True),
        sa.Column("enrolled_by", row_id(), nullable=False),
        sa.Column("created_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_enrolments"),
        sa.UniqueConstraint("user_id", "course_id", name="uq_enrolments_user_id_course_id"),
        _foreign_key("enrolments", "user_id", "users"),
        _foreign_key("enrolments", "course_id", "courses"),
        sa.CheckConstraint(
            "source IN ('manual', 'recommended', 'role')", name=op.f("ck_enrolments_source")
        ),
        sa.Index("ix_enrolments_course_id", "course_id"),
        sa.Index("ix_enrolments_course_id_created_at_id", "course_id", "created_at", "id"),
        sa.Index("ix_enrolments_user_id_created_at_id", "user_id", "created_at", "id"),
        **table_options(),
    )


def _create_progress() -> None:
    op.create_table(
        "lesson_progress",
        sa.Column("id", row_id(), nullable=False),
        sa.Column("user_id", row_id(), nullable=False),
        sa.Column("lesson_id", row_id(), nullable=False),
        sa.Column("completed_at", time(), nullable=True),
        sa.Column("answers", sa.JSON(), nullable=True),
        sa.Column("n_right", sa.Integer(), nullable=True),
        sa.Column("n_questions", sa.Integer(), nullable=True),
        sa.Column("updated_at", time(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lesson_progress"),
        sa.UniqueConstraint("user_id", "lesson_id", name="uq_lesson_progress_user_id_lesson_id"),
        _foreign_key("lesson_progress", "user_id", "users"),
        _foreign_key("lesson_progress", "lesson_id", "lessons"),
        sa.CheckConstraint(
            "n_right >= 0 AND n_right <= n_questions", name=op.f("ck_lesson_progress_n_right")
        ),
        sa.Index("ix_lesson_progress_lesson_id", "lesson_id"),
        **table_options(),
    )


def _foreign_key(table: str, column: str, owner: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}"
    return sa.ForeignKeyConstraint([column], [f"{owner}.id"], name=name, ondelete="CASCADE")


_TABLES = {
    "courses": _create_courses,
    "course_topics": _create_topics,
    "lessons": _create_lessons,
    "course_files": _create_files,
    "course_file_pieces": _create_pieces,
    "enrolments": _create_enrolments,
    "lesson_progress": _create_progress,
}
"""The functions that create the tables, by name, in the order of their foreign keys."""
