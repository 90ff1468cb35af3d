"""Enrolments, progress and cohorts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Boolean, Integer, List, Nested, String
from apiflask.validators import Length, OneOf
from marshmallow import ValidationError, validates

from db.tables import EnrolmentSource, Role
from service.api.schemas.fields import CursorQuery, JsonBoolean, StrictSchema, Text, WholeNumber
from service.api.schemas.lessons import MAX_CHOICES, MAX_QUESTIONS
from service.domain.courses.enrolments import Status
from service.domain.courses.progress import MAX_REPORTS
from service.domain.courses.quizzes import PASS_PERCENT

_WHOM = ("user_id", "email", "team_id", "role")


class EnrolmentListQuery(CursorQuery):
    course_id = UUID(metadata={"description": "Only the one in this course."})


class EnrolmentIn(StrictSchema):
    """Enrols the caller; instructors may name one of user_id, email, team_id and role instead."""

    course_id = UUID(required=True)
    user_id = UUID()
    email = Text(validate=Length(3, 254))
    team_id = UUID(metadata={"description": "Everybody who is in the team now."})
    role = String(
        validate=OneOf(list(Role)), metadata={"description": "Everybody who has the role now."}
    )
    is_recommended = JsonBoolean(
        load_default=False, metadata={"description": "The caller follows a recommendation."}
    )
    due_at = AwareDateTime(
        default_timezone=UTC, metadata={"description": "When it is to be completed."}
    )

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Refuse more than one way to say who."""
        named = [name for name in _WHOM if name in raw]
        faults = dict.fromkeys(named[1:], f"Send this or {named[0]}, not both.") if named else {}
        if named and data.get("is_recommended"):
            faults["is_recommended"] = "Recommendations are for the caller alone."
        return faults


def _by_self_field() -> Boolean:
    description = "false: an instructor enrolled them, alone or with a team or role."
    return Boolean(required=True, attribute="is_by_self", metadata={"description": description})


class EnrolmentOut(Schema):
    id = UUID(required=True, attribute="enrolment.id")
    user_id = UUID(required=True, attribute="enrolment.user_id")
    course_id = UUID(required=True, attribute="course.id")
    course_code = String(required=True, attribute="course.code")
    course_title = String(required=True, attribute="course.title")
    course_status = String(required=True, attribute="course.status")
    source = String(
        required=True, attribute="enrolment.source", metadata={"enum": list(EnrolmentSource)}
    )
    enrolled_by_self = _by_self_field()
    status = String(required=True, metadata={"enum": list(Status)})
    n_done = Integer(required=True, metadata={"description": "Completed lessons."})
    n_lessons = Integer(required=True)
    due_at = AwareDateTime(
        required=True, allow_none=True, attribute="enrolment.due_at", default_timezone=UTC
    )
    completed_at = AwareDateTime(required=True, allow_none=True, default_timezone=UTC)
    created_at = AwareDateTime(
        required=True, attribute="enrolment.created_at", default_timezone=UTC
    )


class EnrolmentListOut(Schema):
    items = List(Nested(EnrolmentOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class EnrolledOut(Schema):
    enrolment = Nested(
        EnrolmentOut,
        required=True,
        allow_none=True,
        attribute="view",
        metadata={"description": "Of one account; null for a team or a role."},
    )
    n_created = Integer(required=True)
    n_existing = Integer(
        required=True, metadata={"description": "Those who were enrolled already."}
    )


class ProgressIn(StrictSchema):
    completed = JsonBoolean(
        required=True, metadata={"description": "false: the lesson is to be done again."}
    )
    answers = List(
        List(WholeNumber(), validate=Length(0, MAX_CHOICES)),
        validate=Length(0, MAX_QUESTIONS),
        metadata={
            "description": "For each question of the quiz the numbers of the chosen choices from 0. "
            f"{PASS_PERCENT} % right answers complete the lesson."
        },
    )


class ProgressItemIn(ProgressIn):
    lesson_id = UUID(required=True)


class ProgressListIn(StrictSchema):
    items = List(Nested(ProgressItemIn), required=True, validate=Length(1, MAX_REPORTS))

    @validates("items")
    def _check_unique(self, value: list[dict[str, Any]], **_: object) -> None:
        lessons = [item["lesson_id"] for item in value if "lesson_id" in item]  # else it is a fault
        if len(set(lessons)) < len(lessons):
            raise ValidationError("Send each lesson once.")


class ProgressOut(Schema):
    lesson_id = UUID(required=True, attribute="row.lesson_id")
    completed_at = AwareDateTime(
        required=True, allow_none=True, attribute="row.completed_at", default_timezone=UTC
    )
    n_right = Integer(required=True, allow_none=True, attribute="row.n_right")
    n_questions = Integer(required=True, allow_none=True, attribute="row.n_questions")
    is_passed = Boolean(
        required=True,
        allow_none=True,
        metadata={"description": "Whether these answers pass the quiz; null without answers."},
    )
    right = List(
        Boolean(),
        required=True,
        allow_none=True,
        metadata={"description": "Which of these answers are right."},
    )


class ProgressListOut(Schema):
    items = List(Nested(ProgressOut), required=True)


class LearnerOut(Schema):
    enrolment_id = UUID(required=True, attribute="enrolment.id")
    user_id = UUID(required=True, attribute="enrolment.user_id")
    email = String(required=True)
    source = String(required=True, attribute="enrolment.source")
    enrolled_by_self = _by_self_field()
    status = String(required=True, metadata={"enum": list(Status)})
    n_done = Integer(required=True)
    n_lessons = Integer(required=True)
    due_at = AwareDateTime(
        required=True, allow_none=True, attribute="enrolment.due_at", default_timezone=UTC
    )
    completed_at = AwareDateTime(required=True, allow_none=True, default_timezone=UTC)
    created_at = AwareDateTime(
        required=True, attribute="enrolment.created_at", default_timezone=UTC
    )


class StatusCountsOut(Schema):
    not_started = Integer(required=True)
    in_progress = Integer(required=True)
    completed = Integer(required=True)
    overdue = Integer(required=True)


class CohortOut(Schema):
    items = List(Nested(LearnerOut), required=True)
    next_cursor = String(required=True, allow_none=True)
    counts = Nested(
        StatusCountsOut,
        required=True,
        metadata={"description": "Of everybody who takes the course, on all pages."},
    )
