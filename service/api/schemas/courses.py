"""Courses and their files."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Integer, List, Nested, String
from apiflask.validators import Length, OneOf

from db.tables import CourseStatus
from service.api.http.taxonomy_names import MARK
from service.api.schemas.fields import (
    CategoryName,
    CursorQuery,
    RiskTypeName,
    StoredName,
    StrictSchema,
    Text,
)
from service.domain.courses.courses import (
    MAX_CODE_CHARS,
    MAX_DESCRIPTION_CHARS,
    MAX_TITLE_CHARS,
    MAX_TOPICS,
)

_STATUS = "Learners see active courses only."


class CourseListQuery(CursorQuery):
    search = Text(
        load_default="",
        validate=Length(1, MAX_TITLE_CHARS),
        metadata={"description": "Part of code, title or description, in any case."},
    )
    status = String(validate=OneOf(list(CourseStatus)), metadata={"description": _STATUS})
    category = StoredName("category")
    risk_type = StoredName("risk type")


class CourseChangeIn(StrictSchema):
    """Fields that are left out stay as they are."""

    code = Text(
        validate=Length(1, MAX_CODE_CHARS),
        metadata={"example": "SEC-101", "description": "No two courses share it in any case."},
    )
    title = Text(validate=Length(1, MAX_TITLE_CHARS), metadata={"example": "Secrets in code"})
    description = Text(validate=Length(0, MAX_DESCRIPTION_CHARS))
    status = String(validate=OneOf(list(CourseStatus)), metadata={"description": _STATUS})
    categories = List(CategoryName(), validate=Length(0, MAX_TOPICS))
    risk_types = List(RiskTypeName(), validate=Length(0, MAX_TOPICS))


class CourseIn(CourseChangeIn):
    code = Text(
        required=True,
        validate=Length(1, MAX_CODE_CHARS),
        metadata={"example": "SEC-101", "description": "No two courses share it in any case."},
    )
    title = Text(
        required=True, validate=Length(1, MAX_TITLE_CHARS), metadata={"example": "Secrets in code"}
    )
    description = Text(load_default="", validate=Length(0, MAX_DESCRIPTION_CHARS))
    status = String(
        load_default=CourseStatus.DRAFT,
        validate=OneOf(list(CourseStatus)),
        metadata={"description": _STATUS},
    )
    categories = List(CategoryName(), load_default=list, validate=Length(0, MAX_TOPICS))
    risk_types = List(RiskTypeName(), load_default=list, validate=Length(0, MAX_TOPICS))


class CourseOut(Schema):
    id = UUID(required=True, attribute="course.id")
    code = String(required=True, attribute="course.code")
    title = String(required=True, attribute="course.title")
    description = String(required=True, attribute="course.description")
    status = String(required=True, attribute="course.status", metadata={"enum": list(CourseStatus)})
    version = Integer(
        required=True,
        attribute="course.version",
        metadata={"description": "Counts the changes of the course, its lessons and its files."},
    )
    categories = List(String(metadata={MARK: "category key"}), required=True)
    risk_types = List(String(metadata={MARK: "risk type key"}), required=True)
    n_lessons = Integer(required=True)
    created_at = AwareDateTime(required=True, attribute="course.created_at", default_timezone=UTC)
    updated_at = AwareDateTime(required=True, attribute="course.updated_at", default_timezone=UTC)


class CourseListOut(Schema):
    items = List(Nested(CourseOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class CourseFileOut(Schema):
    id = UUID(required=True)
    name = String(required=True)
    media_type = String(required=True)
    size_bytes = Integer(required=True)
    sha256 = String(required=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)


class CourseFileListOut(Schema):
    items = List(Nested(CourseFileOut), required=True)
