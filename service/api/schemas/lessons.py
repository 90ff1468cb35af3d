"""Lessons and their quizzes."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Integer, List, Nested, String
from apiflask.validators import Length, Range
from marshmallow import ValidationError, validates

from service.api.schemas.fields import StrictSchema, Text, WholeNumber
from service.domain.courses.courses import MAX_TITLE_CHARS
from service.domain.courses.lessons import MAX_LESSONS, MAX_SOURCE_CHARS

MAX_QUESTIONS, MAX_CHOICES = 30, 10
_MAX_MINUTES = 600
_SOURCE = (
    "Markdown without HTML. Images and links may name a file of the course: ![Matrix](matrix.png)."
)
_FOR_AUTHORS = "null for learners"


def _choice_number() -> WholeNumber:
    return WholeNumber(validate=Range(0, MAX_CHOICES - 1))


class QuestionIn(StrictSchema):
    text = Text(required=True, validate=Length(1, 1_000))
    choices = List(Text(validate=Length(1, 500)), required=True, validate=Length(2, MAX_CHOICES))
    answers = List(
        _choice_number(),
        required=True,
        validate=Length(1, MAX_CHOICES),
        metadata={"description": "Numbers of the right choices from 0."},
    )

    def faults_across(self, data: dict[str, Any], _raw: Any) -> dict[str, str]:  # noqa: ANN401 - the JSON
        """Refuse answers that are no choices."""
        if "choices" in data and any(n >= len(data["choices"]) for n in data.get("answers", ())):
            return {"answers": "An answer is the number of a choice, from 0."}
        return {}


class LessonChangeIn(StrictSchema):
    """Fields that are left out stay as they are."""

    title = Text(validate=Length(1, MAX_TITLE_CHARS))
    source = Text(validate=Length(0, MAX_SOURCE_CHARS), metadata={"description": _SOURCE})
    minutes = WholeNumber(validate=Range(1, _MAX_MINUTES))
    quiz = List(Nested(QuestionIn), validate=Length(0, MAX_QUESTIONS))


class LessonIn(LessonChangeIn):
    title = Text(required=True, validate=Length(1, MAX_TITLE_CHARS))
    source = Text(
        load_default="",
        validate=Length(0, MAX_SOURCE_CHARS),
        metadata={"description": _SOURCE},
    )
    minutes = WholeNumber(load_default=5, validate=Range(1, _MAX_MINUTES))
    quiz = List(Nested(QuestionIn), load_default=list, validate=Length(0, MAX_QUESTIONS))


class LessonOrderIn(StrictSchema):
    lesson_ids = List(
        UUID(),
        required=True,
        validate=Length(0, MAX_LESSONS),
        metadata={"description": "The ids of all lessons of the course, in their new order."},
    )

    @validates("lesson_ids")
    def _check_unique(self, value: list[Any], **_: object) -> None:
        if len({*value}) < len(value):
            raise ValidationError("Send each id once.")


class MarkdownIn(StrictSchema):
    source = Text(
        required=True, validate=Length(0, MAX_SOURCE_CHARS), metadata={"description": _SOURCE}
    )


class RenderedOut(Schema):
    html = String(required=True)


class LessonProgressOut(Schema):
    """What the caller did with a lesson."""

    completed_at = AwareDateTime(required=True, allow_none=True, default_timezone=UTC)
    n_right = Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Right ones of the last answers; null before any."},
    )
    n_questions = Integer(required=True, allow_none=True)


class ListedLessonOut(Schema):
    id = UUID(required=True, attribute="lesson.id")
    title = String(required=True, attribute="lesson.title")
    minutes = Integer(required=True, attribute="lesson.minutes")
    n_questions = Integer(required=True, metadata={"description": "Of the quiz; 0 without one."})
    version = Integer(required=True, attribute="lesson.version")
    progress = Nested(LessonProgressOut, required=True, allow_none=True)


class LessonListOut(Schema):
    items = List(Nested(ListedLessonOut), required=True)


class QuestionOut(Schema):
    text = String(required=True)
    choices = List(String(), required=True)
    answers = List(
        Integer(), required=True, allow_none=True, metadata={"description": _FOR_AUTHORS}
    )


class LessonOut(Schema):
    id = UUID(required=True, attribute="lesson.id")
    course_id = UUID(required=True, attribute="lesson.course_id")
    title = String(required=True, attribute="lesson.title")
    minutes = Integer(required=True, attribute="lesson.minutes")
    html = String(required=True, metadata={"description": "The lesson, safe to show in a page."})
    source = String(required=True, allow_none=True, metadata={"description": _FOR_AUTHORS})
    quiz = List(Nested(QuestionOut), required=True)
    version = Integer(required=True, attribute="lesson.version")
    updated_at = AwareDateTime(required=True, attribute="lesson.updated_at", default_timezone=UTC)
    progress = Nested(LessonProgressOut, required=True, allow_none=True)
