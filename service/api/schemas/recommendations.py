"""Recommended courses with their reasons, and findings before and after a course."""

from __future__ import annotations

from apiflask import Schema
from apiflask.fields import UUID, Boolean, Float, Integer, List, Nested, String
from apiflask.validators import OneOf, Range

from db.tables import TopicKind
from service.api.http.taxonomy_names import MARK
from service.api.schemas.courses import CourseOut
from service.api.schemas.fields import StrictSchema
from service.domain.courses.recommendations import MAX_SHOWN


class RecommendationQuery(StrictSchema):
    days = Integer(
        load_default=90,
        validate=Range(1, 730),
        metadata={"description": "Findings in scans of so many last days count."},
    )
    per_page = Integer(load_default=10, validate=Range(1, 100))


class ReasonFindingOut(Schema):
    scan_id = UUID(required=True)
    n = Integer(required=True, metadata={"description": "Number of the finding in its scan."})
    risk_types = List(String(), required=True)


class ReasonOut(Schema):
    kind = String(required=True, metadata={"enum": list(TopicKind)})
    key = String(required=True)
    title = String(required=True)
    n_findings = Integer(required=True)
    findings = List(
        Nested(ReasonFindingOut),
        required=True,
        attribute="shown",
        metadata={"description": f"The first {MAX_SHOWN}, of the newest scans."},
    )


class RecommendationOut(Schema):
    course = Nested(CourseOut, required=True)
    enrolment_id = UUID(
        required=True,
        allow_none=True,
        metadata={"description": "null: the caller does not take it."},
    )
    reasons = List(Nested(ReasonOut), required=True)


class RecommendationListOut(Schema):
    """The courses, best first."""

    items = List(Nested(RecommendationOut), required=True)


class EffectQuery(StrictSchema):
    scope = String(
        load_default="own",
        validate=OneOf(["own", "cohort"]),
        metadata={
            "description": "own: the caller's documents. cohort: the documents of all who completed the "
            "course, for instructors."
        },
    )
    days = Integer(
        load_default=180,
        validate=Range(7, 730),
        metadata={"description": "Length of each period, before and after completion."},
    )


class PeriodOut(Schema):
    n_documents = Integer(
        required=True,
        metadata={"description": "First scanned in the period; each counts by its newest scan."},
    )
    n_sentences = Integer(required=True)
    n_findings = Integer(required=True)
    n_judged = Integer(
        required=True, metadata={"description": "Findings with a verdict; others count as none."}
    )


class RateOut(Schema):
    n = Integer(required=True, metadata={"description": "Confirmed findings."})
    per_1000 = Float(
        required=True, allow_none=True, metadata={"description": "In 1,000 scanned sentences."}
    )
    low = Float(required=True, allow_none=True)
    high = Float(required=True, allow_none=True)


class CategoryEffectOut(Schema):
    category = String(required=True, metadata={MARK: "category key"})
    category_title = String(required=True, attribute="title")
    is_taught = Boolean(required=True, metadata={"description": "The course is about it."})
    before = Nested(RateOut, required=True)
    after = Nested(RateOut, required=True)


class EffectOut(Schema):
    n_learners = Integer(required=True, metadata={"description": "Those who completed the course."})
    before = Nested(PeriodOut, required=True)
    after = Nested(PeriodOut, required=True)
    items = List(Nested(CategoryEffectOut), required=True, attribute="categories")
    method = String(required=True, metadata={"description": "Of the intervals low to high."})
    note = String(required=True)
