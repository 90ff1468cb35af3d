"""The courses of the demo: texts in demo_lessons/, people who take them, and a lesson that is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from db.tables import CourseStatus, User
from service.domain.audit import Actor
from service.domain.courses import lessons
from service.domain.courses.enrolments import NewEnrolment, Whom
from service.domain.courses.progress import Report

if TYPE_CHECKING:
    from service.domain.services import Services

_FOLDER = Path(__file__).parent / "demo_lessons"
_TOPICS = ("categories", "risk_types")
_DUE_IN = timedelta(days=30)
_PLANS: Mapping[str, Any] = {
    "code": "PLAN-101",
    "title": "Plans that hold",
    "description": "How to read a date, and how large a buffer has to be.",
    "categories": ["schedule"],
    "risk_types": ["aggressive-deadline", "schedule-delay"],
}
_SECURITY: Mapping[str, Any] = {
    "code": "SEC-101",
    "title": "Access and secrets",
    "description": "Who may read what, and where passwords belong.",
    "categories": ["security"],
    "risk_types": ["access-control", "data-exposure"],
}
_DATE = {
    "text": "Which of these say that a date is at risk?",
    "choices": [
        "Testing was cut from six weeks to two to keep the date.",
        "The date was set after all teams had estimated their work.",
        "The interface comes from a supplier, who has not named a day.",
    ],
    "answers": [0, 2],
}
_SEEN = {
    "text": "A password was sent by e-mail to the wrong person. What comes first?",
    "choices": ["Delete the e-mail.", "Change the password.", "Ask the person to forget it."],
    "answers": [1],
}


def teach(services: Services, instructor: User, learner: User, colleague: User) -> None:
    """Create two courses; the learner has begun one, and the colleague is to complete the other.

    Topics that the serving model does not know are left out.
    """
    plans = _course(
        services,
        instructor,
        _PLANS,
        [("What a date says", "deadlines", 6, [_DATE]), ("Buffers", "buffers", 4, [])],
    )
    security = _course(
        services,
        instructor,
        _SECURITY,
        [("Who may read it", "access", 5, []), ("Where secrets belong", "keys", 4, [_SEEN])],
    )
    enrol = services.enrolments.enrol
    enrol(learner, NewEnrolment(security[0]))
    services.progress.report(learner, [Report(security[1], is_completed=True)])
    due_at = datetime.now(UTC) + _DUE_IN
    enrol(instructor, NewEnrolment(plans[0], Whom(user_id=colleague.id), due_at=due_at))


def _course(
    services: Services,
    instructor: User,
    fields: Mapping[str, Any],
    texts: Sequence[tuple[str, str, int, Sequence[Mapping[str, Any]]]],
) -> tuple[UUID, UUID]:
    """Create an active course with its lessons: title, file, minutes, quiz; return its and the first's id."""
    known = {*services.taxonomy.category_titles, *services.taxonomy.risk_titles}
    topics = {kind: [key for key in fields[kind] if key in known] for kind in _TOPICS}
    course = services.courses.create(
        {**fields, **topics, "status": CourseStatus.ACTIVE}, actor=Actor(instructor.id)
    )
    ids = []
    for title, name, minutes, quiz in texts:
        source = (_FOLDER / f"{name}.md").read_text(encoding="utf-8")
        lesson = {"title": title, "source": source, "minutes": minutes, "quiz": [*quiz] or None}
        view = services.transactions.run(lessons.create_lesson, instructor, course.id, lesson)
        ids.append(view.lesson.id)
    return course.id, ids[0]
