"""Confirmed findings before and after a course, as a rate in 1,000 sentences. It shows no cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import courses as course_queries
from db.queries import enrolments as enrolment_queries
from db.queries import learning as queries
from db.tables import Scan, User
from service.domain.courses.confirmed_findings import by_finding, confirmed, count_categories
from service.domain.courses.courses import CourseView, get_course, sees_all
from service.domain.courses.rates import Rate, rate_per_1000
from service.errors import Forbidden
from service.nlp.taxonomy import Taxonomy

MAX_LEARNERS = 200
"""Most learners of one figure, those who completed the course last."""
MIN_LEARNERS = 3
"""Below it, a figure of a cohort would tell an instructor about single people's documents."""
_MAX_SCANS = 2_000
NOTE = (
    "A difference is no proof that the course caused it: other documents, another model and how many "
    "findings people judged change these rates too."
)


@dataclass(slots=True)
class Period:
    """What was scanned in a period, each document once, and how many confirmed findings each category has.

    `n_learners` is the number of those who scanned.
    """

    n_learners: int = 0
    n_documents: int = 0
    n_sentences: int = 0
    n_findings: int = 0
    n_judged: int = 0
    confirmed: Counter[str] = field(default_factory=Counter)

    def add(self, other: Period) -> None:
        """Add what another learner scanned."""
        self.n_learners += other.n_learners
        self.n_documents += other.n_documents
        self.n_sentences += other.n_sentences
        self.n_findings += other.n_findings
        self.n_judged += other.n_judged
        self.confirmed.update(other.confirmed)


@dataclass(frozen=True, slots=True)
class CategoryEffect:
    """The rates of one category; `is_taught` if the course is about it or one of its risk types."""

    category: str
    title: str
    is_taught: bool
    before: Rate
    after: Rate


@dataclass(frozen=True, slots=True)
class Effect:
    """The rates of those who completed a course; no rates if there are too few of them."""

    n_learners: int
    before: Period
    after: Period
    categories: Sequence[CategoryEffect]


def own_effect(
    session: Session, user: User, course_id: UUID, taxonomy: Taxonomy, *, n_days: int
) -> Effect:
    """Compare the user's documents of `n_days` days before and after completing a course."""
    course = get_course(session, user, course_id)
    completed = _completed(session, course, user.id)
    return _effect(session, course, completed, taxonomy, n_days=n_days)


def cohort_effect(
    session: Session, user: User, course_id: UUID, taxonomy: Taxonomy, *, n_days: int
) -> Effect:
    """Do the same for the last MAX_LEARNERS who completed the course, together.

    Raises:
        Forbidden: the user is no instructor.
        NotFound: there is no such course.
    """
    if not sees_all(user):
        raise Forbidden("Only instructors see figures of all learners; scope=own shows yours.")
    course = get_course(session, user, course_id)
    completed = _completed(session, course, None)
    if len(completed) < MIN_LEARNERS:
        return Effect(len(completed), Period(), Period(), [])
    return _effect(session, course, completed, taxonomy, n_days=n_days, at_least=MIN_LEARNERS)


def _completed(
    session: Session, course: CourseView, user_id: UUID | None
) -> Mapping[UUID, datetime]:
    n_lessons = course_queries.count_lessons(session, [course.id]).get(course.id, 0)
    return enrolment_queries.completions(
        session, course.id, n_lessons=n_lessons, user_id=user_id, limit=MAX_LEARNERS
    )


def _effect(
    session: Session,
    course: CourseView,
    completed: Mapping[UUID, datetime],
    taxonomy: Taxonomy,
    *,
    n_days: int,
    at_least: int = 1,
) -> Effect:
    """Return the rates; a period in which fewer than `at_least` learners scanned counts as empty."""
    before, after = Period(), Period()
    for user_id, at in completed.items():
        span = timedelta(days=n_days)
        before.add(_period(session, user_id, at - span, at, taxonomy))
        after.add(_period(session, user_id, at, at + span, taxonomy))
    before, after = (p if p.n_learners >= at_least else Period() for p in (before, after))
    return Effect(len(completed), before, after, _compare(course, before, after, taxonomy))


def _period(
    session: Session, user_id: UUID, since: datetime, before: datetime, taxonomy: Taxonomy
) -> Period:
    """Count the documents that a user first scanned in a period, each by its newest scan."""
    rows = queries.scans_with_first(session, user_id, since=since, before=before, limit=_MAX_SCANS)
    scans: dict[UUID, Scan] = {}
    for scan, _ in rows:
        scans.setdefault(scan.document_id or scan.id, scan)
    judged = by_finding(
        (row, finding)
        for row, finding in queries.verdicts_of(session, [scan.id for scan in scans.values()])
    )
    findings = [found for one in judged if (found := confirmed(one, taxonomy)) is not None]
    return Period(
        n_learners=1 if scans else 0,
        n_documents=len(scans),
        n_sentences=sum(scan.coverage.get("sentences") or 0 for scan in scans.values()),
        n_findings=sum(scan.n_findings for scan in scans.values()),
        n_judged=len(judged),
        confirmed=Counter(count_categories(findings)),
    )


def _compare(
    course: CourseView, before: Period, after: Period, taxonomy: Taxonomy
) -> list[CategoryEffect]:
    """Return the categories with findings and those that the course teaches about, these first."""
    taught = {*course.categories, *_categories_of(course.risk_types, taxonomy)}
    keys = taught | before.confirmed.keys() | after.confirmed.keys()
    return [
        CategoryEffect(
            key,
            taxonomy.category_title(key, None),
            key in taught,
            rate_per_1000(before.confirmed[key], before.n_sentences),
            rate_per_1000(after.confirmed[key], after.n_sentences),
        )
        for key in sorted(keys, key=lambda key: (key not in taught, -before.confirmed[key], key))
    ]


def _categories_of(risk_types: Iterable[str], taxonomy: Taxonomy) -> set[str]:
    return {taxonomy.category_of(key) for key in risk_types if key in taxonomy.columns}
