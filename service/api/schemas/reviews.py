"""The reviewers' queue, their agreement, and counts of findings."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Float, Integer, List, Nested, String
from apiflask.validators import OneOf, Range

from service.api.http.taxonomy_names import MARK
from service.api.schemas.fields import StoredName, StrictSchema, scope_field
from service.domain.reviews.queue import QueueKind


class QueueQuery(StrictSchema):
    kind = String(
        load_default=QueueKind.UNSURE,
        validate=OneOf(list(QueueKind)),
        metadata={
            "description": "unsure: findings that no reviewer has judged, those with a score nearest the "
            "threshold first. disputed: findings on which users differ and the caller has no verdict."
        },
    )
    category = StoredName("category")
    per_page = Integer(load_default=20, validate=Range(1, 100))


class QueueItemOut(Schema):
    scan_id = UUID(required=True)
    filename = String(required=True, allow_none=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    finding = Integer(required=True, metadata={"description": "Number of the finding in its scan."})
    risk_type = String(required=True, allow_none=True, metadata={MARK: "risk type key"})
    risk = String(required=True)
    category = String(required=True, allow_none=True, metadata={MARK: "category key"})
    category_title = String(required=True)
    score = Float(required=True, allow_none=True)
    threshold = Float(
        required=True,
        allow_none=True,
        metadata={"description": "Of the serving model, balanced; null if it lacks the type."},
    )
    context = String(required=True)
    page = Integer(required=True, allow_none=True)
    answers = List(
        List(String()),
        required=True,
        metadata={
            "description": "The risk types by different users; empty for a rejection, and the title for a "
            "confirmed risk of another AI service, which has no type."
        },
    )


class QueueOut(Schema):
    """What waits now; judged findings leave the queue, so it has no further pages."""

    items = List(Nested(QueueItemOut), required=True)


class RecallQuery(StrictSchema):
    days = Integer(
        load_default=90,
        validate=Range(1, 366),
        metadata={"description": "Scans of the last days; of a document the last."},
    )


class SampleQuery(RecallQuery):
    per_page = Integer(load_default=20, validate=Range(1, 100))


class SampleItemOut(Schema):
    scan_id = UUID(required=True)
    document_id = UUID(required=True)
    filename = String(required=True, allow_none=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    sample = Integer(
        required=True, metadata={"description": "Number of the sentence in its scan's sample."}
    )
    start = Integer(required=True, metadata={"description": "First character, in code points."})
    end = Integer(required=True, metadata={"description": "One past the last character."})
    context = String(required=True, metadata={"description": "The sentence, verbatim."})


class SampleListOut(Schema):
    """In random order: whichever were answered are a random sample, provided that none is skipped."""

    items = List(Nested(SampleItemOut), required=True)
    n_open = Integer(required=True, metadata={"description": "Sentences that wait, in all."})


class RecallOut(Schema):
    """Of scans whose findings are all settled, at most 500. Sentences count, each once in a document."""

    model = String(required=True, metadata={"description": "name/version of the serving model"})
    n_scans = Integer(required=True)
    n_unsettled = Integer(
        required=True,
        metadata={"description": "Scans left out: a finding has no verdict, or users differ."},
    )
    n_found = Integer(
        required=True,
        metadata={"description": "Sentences with findings that are risks by their verdicts."},
    )
    n_unflagged = Integer(required=True, metadata={"description": "Sentences without a finding."})
    n_answered = Integer(
        required=True, metadata={"description": "Those of them, drawn at random, that were judged."}
    )
    n_missed = Integer(required=True, metadata={"description": "Risks among these."})
    estimate = Float(
        required=True,
        allow_none=True,
        metadata={
            "description": "n_found / (n_found + n_unflagged * n_missed / n_answered); null without answers."
        },
    )
    low = Float(
        required=True, allow_none=True, metadata={"description": "Of the 95 % interval (Wilson)."}
    )
    high = Float(required=True, allow_none=True)


class AgreementItemOut(Schema):
    category = String(required=True, allow_none=True, metadata={MARK: "category key"})
    category_title = String(required=True)
    n_judged = Integer(required=True, metadata={"description": "Findings with a verdict."})
    n_confirmed = Integer(
        required=True, metadata={"description": "Findings whose newest verdict confirms them."}
    )
    n_pairs = Integer(
        required=True, metadata={"description": "Pairs of users who judged the same finding."}
    )
    n_agreeing = Integer(required=True, metadata={"description": "Pairs with equal risk types."})


class AgreementOut(Schema):
    items = List(Nested(AgreementItemOut), required=True)


class SummaryQuery(StrictSchema):
    days = Integer(load_default=30, validate=Range(1, 366))
    scope = scope_field("scans")


class DayCountOut(Schema):
    day = String(required=True, metadata={"description": "YYYY-MM-DD, in UTC."})
    category = String(required=True, allow_none=True, metadata={MARK: "category key"})
    n = Integer(required=True)


class SummaryOut(Schema):
    """Findings of the last days; days and categories without any are left out."""

    days = List(Nested(DayCountOut), required=True)
    n_open = Integer(required=True, metadata={"description": "Findings without a verdict."})
    n_judged = Integer(required=True, metadata={"description": "Findings with a verdict."})
