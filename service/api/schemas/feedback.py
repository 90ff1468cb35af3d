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
from service.api.http.taxonomy_names import MARK
from service.api.schemas.fields import (
    MAX_INT,
    RiskTypeName,
    StrictSchema,
    Text,
    WholeNumber,
    character_offset,
)

VERDICTS_ON_FINDINGS = (Verdict.CONFIRMED, Verdict.REJECTED, Verdict.RELABELLED)
MAX_COMMENT_CHARS = 2000
MAX_SENTENCE_CHARS = 20_000


class RiskTypeList(List[Any]):
    """A list of distinct risk types by key or title, with one or more items."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's
        kwargs.setdefault("metadata", {"uniqueItems": True})
        kwargs["validate"] = [Length(min=1), _require_distinct]
        super().__init__(RiskTypeName(), **kwargs)


def _require_distinct(values: list[str]) -> None:
    if len(set(values)) < len(values):
        raise ValidationError("Contains a risk type more than once.")


def _reject_blank(text: str) -> None:
    if text and not text.strip():  # Length reports the empty text
        raise ValidationError("Contains only white space.")


class JudgementIn(StrictSchema):
    """The caller's verdict on a finding."""

    verdict = String(required=True, validate=OneOf(VERDICTS_ON_FINDINGS))
    risk_types = RiskTypeList(
        metadata={
            "description": "Only with relabelled: the correct types.",
            "uniqueItems": True,
        }
    )
    comment = Text(validate=Length(1, MAX_COMMENT_CHARS))

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Require risk types for `relabelled`, and forbid them for other verdicts."""
        is_relabelled = data.get("verdict") == Verdict.RELABELLED
        if is_relabelled and "risk_types" not in raw:
            return {"risk_types": "Required with relabelled: send the correct types."}
        if "verdict" in data and not is_relabelled and "risk_types" in raw:
            return {"risk_types": "Allowed only with relabelled."}
        return {}


class MissedIn(StrictSchema):
    """A missed risk with its sentence, which the service compares with the stored text.

    Where no text is stored, include the document as `file` or `text`.
    """

    start = WholeNumber(required=True, validate=Range(0, MAX_INT))
    end = WholeNumber(required=True, validate=Range(1, MAX_INT))
    context = Text(
        required=True,
        validate=[Length(1, MAX_SENTENCE_CHARS), _reject_blank],
        metadata={"description": "The sentence, verbatim; its length is end - start code points."},
    )
    risk_types = RiskTypeList(required=True)
    comment = Text(validate=Length(1, MAX_COMMENT_CHARS))
    text = String(metadata={"description": "The document, if it was scanned as text."})
    file = File(  # type: ignore[no-untyped-call]  # APIFlask's is not annotated
        metadata={"description": "The document, if it was scanned as a file; multipart only."}
    )

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Require a non-empty span, and at most one document."""
        faults: dict[str, str] = {}
        if "start" in data and data.get("end", MAX_INT) <= data["start"]:
            faults["end"] = "Must be greater than start."
        if "file" in raw and "text" in raw:
            faults |= dict.fromkeys(("file", "text"), "Send file or text, not both.")
        return faults


class AnswerIn(StrictSchema):
    """A reviewer's answer on a sampled sentence without a finding."""

    risk_types = List(
        RiskTypeName(),
        required=True,
        validate=_require_distinct,
        metadata={
            "description": "The risks that the sentence states; empty if none.",
            "uniqueItems": True,
        },
    )
    comment = Text(validate=Length(1, MAX_COMMENT_CHARS))


class FeedbackOut(Schema):
    """A user's verdict on a finding, or a user's report of a missed risk."""

    id = UUID(required=True)
    user_id = UUID(required=True)
    role = String(required=True, metadata={"description": "The author's role at the time."})
    finding = Integer(
        required=True,
        allow_none=True,
        attribute="n",
        metadata={"description": "The finding's id; null for a missed risk."},
    )
    verdict = String(required=True, validate=OneOf(list(Verdict)))
    risk_types = List(
        String(metadata={MARK: "risk type key"}),
        required=True,
        metadata={"description": "The types that this verdict confirms or reports."},
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
            "description": "Whether the service has verified that the document contains the "
            "sentence. Unverified reports are never exported for training."
        },
    )
    carried_from = UUID(
        required=True,
        allow_none=True,
        attribute="origin_scan_id",
        metadata={
            "description": "The earlier scan of the document in which the user gave it; null if in this one."
        },
    )
    timestamp = AwareDateTime(required=True, attribute="created_at", default_timezone=UTC)

    @post_dump
    def _replace_zeros_with_null(self, data: dict[str, Any], **_: object) -> dict[str, Any]:
        span = {} if data["end"] else {"start": None, "end": None}
        return {**data, **span, "finding": data["finding"] or None}


class GivenFeedbackOut(FeedbackOut):
    """The caller's feedback as stored; generated clients know it by this name."""


class FeedbackListOut(Schema):
    items = List(Nested(FeedbackOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class FindingReviewOut(Schema):
    """The newest 100 of each list, newest first."""

    own = Nested(FeedbackOut, required=True, allow_none=True)
    others = List(
        Nested(FeedbackOut),
        required=True,
        metadata={"description": "Other users' verdicts; empty unless the caller is a reviewer."},
    )
    history = List(
        Nested(FeedbackOut),
        required=True,
        metadata={
            "description": "All verdicts, including superseded and withdrawn ones; reviewers get everyone's."
        },
    )
