"""Courses with their lessons and files, who takes them, and how far they are."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, CheckConstraint, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from db.column_types import UtcDateTime, exact, long_binary, long_text, row_id
from db.tables.base import Base, one_of


class CourseStatus(StrEnum):
    """Who sees a course: learners see active ones. The CHECK of courses is built from these values."""

    DRAFT = "draft"
    ACTIVE = "active"
    ARCHIVED = "archived"


class TopicKind(StrEnum):
    """What a course teaches about. The CHECK of course_topics is built from these values."""

    CATEGORY = "category"
    RISK_TYPE = "risk_type"


class EnrolmentSource(StrEnum):
    """Why somebody takes a course. The CHECK of enrolments is built from these values."""

    MANUAL = "manual"
    RECOMMENDED = "recommended"
    ROLE = "role"


class Course(Base):
    """A course; `code` is in upper case, `version` counts changes of the course, its lessons and files."""

    __tablename__ = "courses"
    __table_args__ = (
        CheckConstraint(one_of("status", CourseStatus), name="status"),
        CheckConstraint("version >= 1", name="version"),
        UniqueConstraint("code"),
        Index("ix_courses_created_at_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    code: Mapped[str] = mapped_column(exact(40))
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(long_text())
    status: Mapped[str] = mapped_column(exact(16))
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CourseTopic(Base):
    """A category or risk type of the taxonomy, by its key, that a course teaches about."""

    __tablename__ = "course_topics"
    __table_args__ = (
        CheckConstraint(one_of("kind", TopicKind), name="kind"),
        Index("ix_course_topics_kind_topic", "kind", "topic"),
    )

    course_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("courses.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(exact(16), primary_key=True)
    topic: Mapped[str] = mapped_column(exact(64), primary_key=True)


class Lesson(Base):
    """A lesson: `source` is Markdown, `minutes` is how long it takes.

    `quiz` is null, or a list of questions: {"text": str, "choices": [str], "answers": [int]}, where `answers`
    are the numbers of the right choices from 0. `version` counts the changes of the lesson.
    """

    __tablename__ = "lessons"
    __table_args__ = (
        CheckConstraint("position >= 1", name="position"),
        CheckConstraint("minutes >= 1", name="minutes"),
        CheckConstraint("version >= 1", name="version"),
        Index("ix_lessons_course_id", "course_id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    course_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("courses.id", ondelete="CASCADE"))
    position: Mapped[int]
    title: Mapped[str] = mapped_column(String(200))
    source: Mapped[str] = mapped_column(long_text(), deferred=True)
    minutes: Mapped[int]
    quiz: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    version: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CourseFile(Base):
    """A file of a course, which its lessons name; the bytes are in rows of CourseFilePiece."""

    __tablename__ = "course_files"
    __table_args__ = (
        CheckConstraint("size_bytes >= 0", name="size_bytes"),
        UniqueConstraint("course_id", "name"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    course_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("courses.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(exact(255))
    media_type: Mapped[str] = mapped_column(exact(127))
    size_bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(exact(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CourseFilePiece(Base):
    """A piece of a file's bytes, numbered from 1.

    The bytes are in the database so that every replica has them and a backup contains them; they are in
    pieces since a backup reads many rows at once.
    """

    __tablename__ = "course_file_pieces"
    __table_args__ = (CheckConstraint("n >= 1", name="n"),)

    file_id: Mapped[UUID] = mapped_column(
        row_id(), ForeignKey("course_files.id", ondelete="CASCADE"), primary_key=True
    )
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    data: Mapped[bytes] = mapped_column(long_binary())


class Enrolment(Base):
    """A user who takes a course. `enrolled_by` is the account that enrolled them; it may be deleted since.

    How far the user is follows from LessonProgress and the course's lessons, and is not stored.
    """

    __tablename__ = "enrolments"
    __table_args__ = (
        CheckConstraint(one_of("source", EnrolmentSource), name="source"),
        UniqueConstraint("user_id", "course_id"),
        Index("ix_enrolments_course_id", "course_id"),
        Index("ix_enrolments_course_id_created_at_id", "course_id", "created_at", "id"),
        Index("ix_enrolments_user_id_created_at_id", "user_id", "created_at", "id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    course_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("courses.id", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(exact(16))
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    enrolled_by: Mapped[UUID] = mapped_column(row_id())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LessonProgress(Base):
    """What a user did with a lesson. `answers` are the last ones to its quiz, of which `n_right` were right.

    All three are null for a lesson without a quiz; `completed_at` is null until the lesson is done.
    """

    __tablename__ = "lesson_progress"
    __table_args__ = (
        CheckConstraint("n_right >= 0 AND n_right <= n_questions", name="n_right"),
        UniqueConstraint("user_id", "lesson_id"),
        Index("ix_lesson_progress_lesson_id", "lesson_id"),
    )

    id: Mapped[UUID] = mapped_column(row_id(), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("users.id", ondelete="CASCADE"))
    lesson_id: Mapped[UUID] = mapped_column(row_id(), ForeignKey("lessons.id", ondelete="CASCADE"))
    completed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answers: Mapped[list[list[int]] | None] = mapped_column(JSON(none_as_null=True))
    n_right: Mapped[int | None]
    n_questions: Mapped[int | None]
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
