"""Which courses a user's confirmed findings suggest, and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import enrolments as enrolment_queries
from db.queries import learning as queries
from db.queries.enrolments import NOTHING_DONE
from db.tables import TopicKind, User
from service.domain.courses.confirmed_findings import ConfirmedFinding, by_finding, confirmed
from service.domain.courses.courses import CourseView, active_courses
from service.nlp.taxonomy import Taxonomy

MAX_VERDICTS = 5_000
"""Most verdicts that are read, those of the newest scans."""
MAX_SHOWN = 20
"""Most findings that a reason names."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a course is recommended: a risk type or category that it teaches about, and the findings of it."""

    kind: TopicKind
    key: str
    title: str
    findings: Sequence[ConfirmedFinding]

    @property
    def n_findings(self) -> int:
        """How many findings there are; the response names the first MAX_SHOWN."""
        return len(self.findings)

    @property
    def shown(self) -> Sequence[ConfirmedFinding]:
        """The first findings, of the newest scans."""
        return self.findings[:MAX_SHOWN]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A course that the user has not completed, with the reasons; `enrolment_id` if the user takes it."""

    course: CourseView
    reasons: Sequence[Reason]
    enrolment_id: UUID | None

    def n_findings(self, kind: TopicKind) -> int:
        """Return the number of different findings of one kind of reason."""
        reasons = (reason for reason in self.reasons if reason.kind is kind)
        return len({(f.scan_id, f.n) for reason in reasons for f in reason.findings})


def recommend(
    session: Session, user: User, taxonomy: Taxonomy, *, n_days: int, limit: int
) -> list[Recommendation]:
    """Return up to `limit` active courses that teach about the user's findings of the last `n_days` days.

    Findings are those in the user's own scans that are confirmed or relabelled. Courses about their risk
    types come before those about their categories alone, then those with more findings.
    """
    findings = _confirmed_findings(session, user.id, taxonomy, n_days=n_days)
    if not findings:
        return []
    courses = _uncompleted(session, user.id, active_courses(session))
    enrolled = enrolment_queries.enrolments_of(session, user.id)
    found = []
    for course in courses:
        if reasons := _reasons(course, findings, taxonomy):
            enrolment = enrolled.get(course.id)
            enrolment_id = None if enrolment is None else enrolment.id
            found.append(Recommendation(course, reasons, enrolment_id))
    return sorted(found, key=_rank)[:limit]


def _rank(one: Recommendation) -> tuple[int, int, str]:
    """Return what recommendations are sorted by: a finding by type comes before any by category."""
    by_type, by_category = (one.n_findings(k) for k in (TopicKind.RISK_TYPE, TopicKind.CATEGORY))
    return -by_type, -by_category, one.course.course.code


def _confirmed_findings(
    session: Session, user_id: UUID, taxonomy: Taxonomy, *, n_days: int
) -> list[ConfirmedFinding]:
    """Return each finding once, as it is in the newest scan of its document."""
    since = datetime.now(UTC) - timedelta(days=n_days)
    rows = queries.judged_findings(session, user_id, since=since, limit=MAX_VERDICTS)
    documents = {finding.scan_id: document_id for _, finding, document_id in rows}
    findings: dict[tuple[UUID, str], ConfirmedFinding | None] = {}
    for judged in by_finding((row, finding) for row, finding, _ in rows):
        finding = judged[0]
        place = documents[finding.scan_id] or finding.scan_id
        key = place, finding.fingerprint or f"{finding.scan_id} {finding.n}"
        if key not in findings:
            findings[key] = confirmed(judged, taxonomy)
    return [finding for finding in findings.values() if finding is not None]


def _uncompleted(
    session: Session, user_id: UUID, courses: Sequence[CourseView]
) -> list[CourseView]:
    done = enrolment_queries.done_by_place(session, [user_id], [course.id for course in courses])
    return [
        course
        for course in courses
        if not course.n_lessons
        or done.get((user_id, course.id), NOTHING_DONE).n_lessons < course.n_lessons
    ]


def _reasons(
    course: CourseView, findings: Sequence[ConfirmedFinding], taxonomy: Taxonomy
) -> list[Reason]:
    taught = {*course.risk_types}
    others = [finding for finding in findings if not taught & {*finding.risk_types}]
    by_type = [
        _reason(TopicKind.RISK_TYPE, key, taxonomy.risk_title(key, None), findings, _types)
        for key in course.risk_types
    ]
    by_category = [
        _reason(TopicKind.CATEGORY, key, taxonomy.category_title(key, None), others, _categories)
        for key in course.categories
    ]
    reasons = [reason for reason in (*by_type, *by_category) if reason.findings]
    return sorted(
        reasons, key=lambda reason: (reason.kind == TopicKind.CATEGORY, -reason.n_findings)
    )


def _reason(
    kind: TopicKind,
    key: str,
    title: str,
    findings: Sequence[ConfirmedFinding],
    topics: Callable[[ConfirmedFinding], Sequence[str]],
) -> Reason:
    return Reason(kind, key, title, [finding for finding in findings if key in topics(finding)])


def _types(finding: ConfirmedFinding) -> Sequence[str]:
    return finding.risk_types


def _categories(finding: ConfirmedFinding) -> Sequence[str]:
    return finding.categories
