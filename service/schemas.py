"""Shapes of requests and responses; the OpenAPI document comes from these."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from apiflask import Schema
from apiflask.fields import (
    UUID,
    AwareDateTime,
    Boolean,
    Dict,
    File,
    Float,
    Integer,
    List,
    Nested,
    String,
)
from apiflask.validators import Length, OneOf, Range, Regexp
from marshmallow import RAISE, ValidationError, validates_schema

from service.nlp.operating_point import SENSITIVITIES
from service.nlp.taxonomy import CATEGORIES, RISK_TYPES
from service.passwords import MAX_PASSWORD_CHARS
from service.scans import COUNTED_SCANS, NUMBERED_SCANS

SOURCES = ("model", "llm")
MAX_INT = 2**31 - 1
_STORABLE = Range(datetime(1970, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC))


class StrictSchema(Schema):
    """Refuses unknown fields by name."""

    class Meta:
        unknown = RAISE


class Text(String):
    """A string that every database stores and every hash takes: no NUL, no lone surrogate."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - marshmallow's
        text: str = super()._deserialize(value, *args, **kwargs)
        if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
            raise ValidationError("Holds a NUL or half of a surrogate pair.")
        return text


class Flag(Boolean):
    """true, false, 1 or 0, as JSON or as the text of a form field."""

    truthy = {"true", "1", 1}  # noqa: RUF012 - marshmallow's own convention
    falsy = {"false", "0", 0}  # noqa: RUF012


class RegisterIn(StrictSchema):
    email = Text(required=True, validate=Length(1, 254), metadata={"example": "test@test.com"})
    password = Text(
        required=True, validate=Length(1, MAX_PASSWORD_CHARS), metadata={"example": "test123"}
    )


class LoginIn(StrictSchema):
    """The names are OAuth2's password grant, so that its clients work as they are."""

    username = Text(required=True, validate=Length(1, 254), metadata={"example": "test@test.com"})
    password = Text(
        required=True, validate=Length(1, MAX_PASSWORD_CHARS), metadata={"example": "test123"}
    )
    grant_type = String(validate=OneOf(["password"]))


class RefreshIn(StrictSchema):
    refresh_token = String(required=True, validate=Length(1, 512))


class TokensOut(Schema):
    access_token = String(required=True)
    token_type = String(required=True, validate=OneOf(["bearer"]))
    expires_in = Integer(required=True, metadata={"description": "Seconds."})
    refresh_token = String(required=True)


class UserOut(Schema):
    id = UUID(required=True)
    email = Text(required=True)
    role = String(required=True, validate=OneOf(["user", "reviewer", "admin"]))
    created_at = AwareDateTime(required=True, default_timezone=UTC)


class ScanIn(StrictSchema):
    """One of `file` and `text`."""

    file = File(  # type: ignore[no-untyped-call]  # APIFlask's is not annotated
        metadata={"description": "A document; multipart only."}
    )
    text = String(metadata={"example": "Project has tight budget and aggressive deadline"})
    force_llm = Flag(
        load_default=False,
        metadata={
            "description": "Ask the LLM, not the model.",
            "type": ["boolean", "integer", "string"],
            "enum": [True, False, 1, 0, "true", "false", "1", "0"],
        },
    )

    sensitivity = String(
        validate=OneOf(SENSITIVITIES),
        metadata={
            "description": "balanced (default): fewest mistakes; recall: misses fewer risks; "
            "precision: raises fewer false alarms. For the model alone: an LLM gives no scores."
        },
    )

    @validates_schema
    def _no_choice_for_the_llm(self, data: dict[str, Any], **_: object) -> None:
        if data.get("force_llm") and "sensitivity" in data:
            message = "An LLM gives no scores to choose by; send one of force_llm and sensitivity."
            raise ValidationError({"force_llm": [message], "sensitivity": [message]})

    @validates_schema
    def _one_document(self, data: dict[str, Any], **_: object) -> None:
        if ("file" in data) == ("text" in data):
            message = "Send one of file and text."
            raise ValidationError({"file": [message], "text": [message]})


class ScanHeaders(Schema):
    idempotency_key = String(
        data_key="Idempotency-Key",
        validate=Regexp(r"^[\x21-\x7e]{1,255}$", error="1 to 255 visible ASCII characters."),
        metadata={"description": "The same key with the same content gives the stored answer."},
    )


class DataItemOut(Schema):
    """A finding in the three keys of the older contract."""

    risk = String(required=True, metadata={"description": "Title of the risk type."})
    category = String(required=True, metadata={"description": "Title of the category."})
    context = String(required=True, metadata={"description": "The sentence, verbatim."})


class AnalysisOut(Schema):
    data = List(Nested(DataItemOut), required=True)
    source = String(required=True, validate=OneOf(SOURCES))


class ScanOut(Schema):
    scan_id = UUID(required=True, attribute="id")
    data = List(Nested(DataItemOut), required=True)
    source = String(required=True, validate=OneOf(SOURCES))
    timestamp = AwareDateTime(required=True, attribute="created_at", default_timezone=UTC)


class CoverageOut(Schema):
    """What was read of the document; nothing is ever left out."""

    characters = Integer(required=True)
    sentences = Integer(required=True)
    pages = Integer(required=True, allow_none=True)
    pages_without_text = List(Integer(), required=True)
    truncated = Boolean(required=True)


class ScanSummaryOut(Schema):
    scan_id = UUID(required=True, attribute="id")
    filename = String(required=True, allow_none=True)
    source = String(required=True, validate=OneOf(SOURCES))
    n_findings = Integer(required=True)
    timestamp = AwareDateTime(required=True, attribute="created_at", default_timezone=UTC)


class ScanDetailOut(ScanOut):
    filename = String(required=True, allow_none=True)
    n_findings = Integer(required=True)
    sensitivity = String(
        required=True,
        allow_none=True,
        metadata={"description": "null from an LLM, and for scans older than this field"},
    )
    model_name = String(required=True)
    model_version = String(required=True)
    document_sha256 = String(required=True)
    coverage = Nested(CoverageOut, required=True)


class ScanListQuery(StrictSchema):
    page = Integer(
        validate=Range(1, NUMBERED_SCANS),
        metadata={"description": f"1-based; reaches the newest {NUMBERED_SCANS:,}, a cursor all."},
    )
    per_page = Integer(load_default=20, validate=Range(1, 100))
    cursor = String(
        validate=Length(1, 200), metadata={"description": "next_cursor of the page before."}
    )
    source = String(validate=OneOf(SOURCES))
    category = String(validate=OneOf(CATEGORIES))
    risk_type = String(validate=OneOf(RISK_TYPES))
    q = Text(
        validate=Length(1, 200),
        metadata={"description": "Part of the file's name or of a found sentence."},
    )
    created_from = AwareDateTime(
        default_timezone=UTC, validate=_STORABLE, metadata={"description": "Inclusive."}
    )
    created_before = AwareDateTime(
        default_timezone=UTC, validate=_STORABLE, metadata={"description": "Exclusive."}
    )

    @validates_schema
    def _page_or_cursor(self, data: dict[str, Any], **_: object) -> None:
        if "page" in data and "cursor" in data:
            message = "Send one of page and cursor."
            raise ValidationError({"page": [message], "cursor": [message]})

    @validates_schema
    def _page_within_reach(self, data: dict[str, Any], **_: object) -> None:
        if (data.get("page", 1) - 1) * data["per_page"] >= NUMBERED_SCANS:
            message = (
                f"Pages by number reach the newest {NUMBERED_SCANS:,} scans; go on with next_cursor "
                "or the Link header, or narrow by created_before."
            )
            raise ValidationError({"page": [message]})


class ScanListOut(Schema):
    items = List(Nested(ScanSummaryOut), required=True)
    page = Integer(required=True, allow_none=True, metadata={"description": "null with a cursor"})
    per_page = Integer(required=True)
    total = Integer(required=True, allow_none=True, metadata={"description": "null with a cursor"})
    total_relation = String(
        required=True,
        allow_none=True,
        validate=OneOf(["eq", "gte"]),
        metadata={
            "description": "eq: the total is exact; gte: at least so many, counted among the newest "
            f"{COUNTED_SCANS:,} only; null with a cursor"
        },
    )
    next_cursor = String(required=True, allow_none=True)


class AuditEventListQuery(StrictSchema):
    cursor = String(validate=Length(1, 200))
    per_page = Integer(load_default=50, validate=Range(1, 200))


class AuditEventOut(Schema):
    id = UUID(required=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    action = String(required=True)
    user_id = UUID(required=True, allow_none=True)
    object_type = String(required=True)
    object_id = String(required=True, allow_none=True)
    request_id = String(required=True, allow_none=True)
    detail = Dict(required=True)


class AuditEventListOut(Schema):
    items = List(Nested(AuditEventOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class HealthOut(Schema):
    status = String(required=True)
    version = String(required=True)


class ReadyOut(Schema):
    status = String(required=True, validate=OneOf(["ready"]))
    checks = Dict(keys=String(), values=String(), required=True)
    age_s = Float(required=True)


class FaultOut(Schema):
    field = String(required=True)
    message = String(required=True)


class ProblemOut(Schema):
    """An error, as RFC 9457 problem+json."""

    type = String(required=True)
    title = String(required=True)
    status = Integer(required=True)
    detail = String(required=True)
    instance = String(required=True)
    code = String(required=True)
    request_id = String(required=True, allow_none=True)
    errors = List(Nested(FaultOut), required=True)
