"""Reviewers' verdicts on findings, and missed risks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Boolean, File, Integer, List, Nested, String
from apiflask.validators import Length, OneOf, Range
from marshmallow import ValidationError, post_dump

from db.tables import Verdict
from service.api.schemas.fields import (
    MAX_INT,
    StrictSchema,
    TaxonomyKey,
    Text,
    character_offset,
)
from service.nlp.taxonomy import RISK_TITLES, RISK_TYPES

VERDICTS_ON_FINDINGS = (Verdict.CONFIRMED, Verdict.REJECTED, Verdict.RELABELLED)
MAX_COMMENT_CHARS = 2000
MAX_SENTENCE_CHARS = 20_000


class RiskTypeList(List[Any]):
    """One to all risk types by key or title, each once."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's
        kwargs.setdefault("metadata", {"uniqueItems": True})
        kwargs["validate"] = [Length(1, len(RISK_TYPES)), _each_once]
        super().__init__(TaxonomyKey(RISK_TITLES), **kwargs)


def _each_once(values: list[str]) -> None:
    if len(set(values)) < len(values):
        raise ValidationError("Names a risk type more than once.")


def _not_blank(text: str) -> None:
    if text and not text.strip():  # Length tells of none at all
        raise ValidationError("Holds no word.")


class JudgementIn(StrictSchema):
    """What the caller says of a finding."""

    verdict = String(required=True, validate=OneOf(VERDICTS_ON_FINDINGS))
    risk_types = RiskTypeList(
        metadata={
            "description": "With relabelled alone: the types that the sentence states instead.",
            "uniqueItems": True,
        }
    )
    comment = Text(validate=Length(1, MAX_COMMENT_CHARS))

    def faults_across(self, data: dict[str, Any], sent: Mapping[str, Any]) -> dict[str, str]:
        """Require risk types for `relabelled`, and forbid them for other verdicts."""
        is_relabelled = data.get("verdict") == Verdict.RELABELLED
        if is_relabelled and "risk_types" not in sent:
            return {"risk_types": "Send the right types with relabelled."}
        if "verdict" in data and not is_relabelled and "risk_types" in sent:
            return {"risk_types": "Allowed only with relabelled."}
        return {}


class MissedIn(StrictSchema):
    """A missed risk. It quotes its sentence, since documents are not stored.

    If it includes the document as `file` or `text`, the service verifies the sentence at the span.
    """

    start = Integer(required=True, strict=True, validate=Range(0, MAX_INT))
    end = Integer(required=True, strict=True, validate=Range(1, MAX_INT))
    context = Text(
        required=True,
        validate=[Length(1, MAX_SENTENCE_CHARS), _not_blank],
        metadata={"description": "The sentence, verbatim: end - start code points."},
    )
    risk_types = RiskTypeList(required=True)
    comment = Text(validate=Length(1, MAX_COMMENT_CHARS))
    text = String(metadata={"description": "The document, if it was scanned as text."})
    file = File(  # type: ignore[no-untyped-call]  # APIFlask's is not annotated
        metadata={"description": "The document, if it was scanned as a file; multipart only."}
    )

    def faults_across(self, data: dict[str, Any], sent: Mapping[str, Any]) -> dict[str, str]:
        """Require a non-empty span, and at most one document."""
        faults: dict[str, str] = {}
        if "start" in data and data.get("end", MAX_INT) <= data["start"]:
            faults["end"] = "Lies after start."
        if "file" in sent and "text" in sent:
            faults |= dict.fromkeys(("file", "text"), "Send one of file and text, or neither.")
        return faults


class FeedbackOut(Schema):
    """One verdict of one user, or a missed risk that they reported."""

    id = UUID(required=True)
    user_id = UUID(required=True)
    role = String(required=True, metadata={"description": "The author's role at that time."})
    finding = Integer(
        required=True,
        allow_none=True,
        attribute="n",
        metadata={"description": "The finding's id; null for a missed risk."},
    )
    verdict = String(required=True, validate=OneOf(list(Verdict)))
    risk_types = List(
        String(validate=OneOf(RISK_TYPES)),
        required=True,
        metadata={"description": "The types that stand by this verdict."},
    )
    comment = String(required=True, allow_none=True)
    start = character_offset("First character, in code points; null if not located.")
    end = character_offset("One past the last character.")
    context = String(
        required=True,
        allow_none=True,
        metadata={"description": "The sentence of a missed risk; null for a finding's verdict."},
    )
    verified = Boolean(
        required=True,
        metadata={
            "description": "Whether the service saw the sentence in the document. Reports that are not "
            "verified are never exported for training."
        },
    )
    timestamp = AwareDateTime(required=True, attribute="created_at", default_timezone=UTC)

    @post_dump
    def _zero_is_no_finding_or_place(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        place = {} if data["end"] else {"start": None, "end": None}
        return {**data, **place, "finding": data["finding"] or None}


class GivenFeedbackOut(FeedbackOut):
    """The caller's own, as it is stored now; OpenAPI wants another name for what others nest."""


class FeedbackListOut(Schema):
    items = List(Nested(FeedbackOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class FindingReviewOut(Schema):
    """The newest 100 of each list, newest first."""

    own = Nested(FeedbackOut, required=True, allow_none=True)
    others = List(
        Nested(FeedbackOut),
        required=True,
        metadata={"description": "Other users' verdicts; empty but for reviewers."},
    )
    history = List(
        Nested(FeedbackOut),
        required=True,
        metadata={"description": "Superseded and withdrawn ones too; a reviewer sees everyone's."},
    )
