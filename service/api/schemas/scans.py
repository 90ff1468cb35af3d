"""Shapes of requests and responses; the OpenAPI document comes from these."""

from __future__ import annotations

from collections.abc import Mapping
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
from marshmallow import EXCLUDE, RAISE, ValidationError, pre_load, validates_schema

from db.tables import Role, Source
from service.api.schemas.coverage import CoverageOut, warning_list
from service.domain.accounts.passwords import MAX_PASSWORD_CHARS
from service.domain.scans.scans import COUNTED_SCANS, NUMBERED_SCANS
from service.nlp.artifacts.operating_points import SENSITIVITIES
from service.nlp.taxonomy import CATEGORY_TITLES, MAX_TITLE_CHARS, RISK_TITLES, key_named

MAX_INT = 2**31 - 1
_NO_FLAG = "Send true or false; on, off, yes, no, 1 and 0 are accepted too."
_FLAGS = ("true", "false", "on", "off", "yes", "no", "1", "0")
_STORABLE = Range(datetime(1970, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC))


class StrictSchema(Schema):
    """Refuses unknown fields by name; reports faults of single fields and across fields together."""

    class Meta:
        unknown = RAISE

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_across_fields(self, data: dict[str, Any], sent: object, **_: object) -> None:
        if isinstance(sent, Mapping) and (faults := self.faults_across(data, sent)):
            raise ValidationError({field: [message] for field, message in faults.items()})

    def faults_across(self, _data: dict[str, Any], _sent: Mapping[str, Any]) -> dict[str, str]:
        """Return a message for each field about fields that contradict each other.

        `_data` has only the valid fields, `_sent` every field as the caller sent it.
        """
        return {}


class Text(String):
    """A string that every database stores and every hash takes: no NUL, no lone surrogate."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - marshmallow's
        text: str = super()._deserialize(value, *args, **kwargs)
        if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
            raise ValidationError("Holds a NUL or half of a surrogate pair.")
        return text


class Flag(Boolean):
    """A boolean as JSON, HTML forms and common clients write it, ignoring case."""

    truthy = {"true", "on", "yes", "1", 1}  # noqa: RUF012 - marshmallow's own convention
    falsy = {"false", "off", "no", "0", 0}  # noqa: RUF012
    default_error_messages = {"invalid": _NO_FLAG}  # noqa: RUF012

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ANN401 - marshmallow's
        folded = value.casefold() if isinstance(value, str) else value
        flag: bool = super()._deserialize(folded, *args, **kwargs)
        return flag


class TaxonomyKey(String):
    """A key of the taxonomy, sent as key or title, ignoring case."""

    def __init__(self, titles: Mapping[str, str], **kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's
        kwargs.setdefault("metadata", {})
        kwargs["metadata"] = {"enum": [*titles, *titles.values()], **kwargs["metadata"]}
        super().__init__(**kwargs)
        self._titles = titles

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - marshmallow's
        name: str = super()._deserialize(value, *args, **kwargs)
        key = key_named(name, self._titles)
        if key is None:
            raise ValidationError("Neither a key nor a title of GET /api/v1/taxonomy.")
        return key


class RegisterIn(StrictSchema):
    email = Text(required=True, validate=Length(1, 254), metadata={"example": "test@test.com"})
    password = Text(
        required=True, validate=Length(1, MAX_PASSWORD_CHARS), metadata={"example": "test123"}
    )


class TokenRequest(StrictSchema):
    """An OAuth2 request; RFC 6749 section 3.2 requires that empty and unknown fields are ignored."""

    class Meta:
        unknown = EXCLUDE

    @pre_load
    def _drop_empty(self, sent: Any, **_: object) -> Any:  # noqa: ANN401 - any JSON
        return {k: v for k, v in sent.items() if v != ""} if isinstance(sent, Mapping) else sent


def _grant(name: str) -> String:
    error = f"unsupported_grant_type: this address accepts only {name}."
    metadata = {"description": "For OAuth2 clients.", "enum": [name, ""]}
    return String(validate=OneOf([name], error=error), metadata=metadata)


class LoginIn(TokenRequest):
    """OAuth2's password grant; the address may be called `email`, as at registration."""

    username = Text(validate=Length(max=254), metadata={"example": "test@test.com"})
    email = Text(validate=Length(max=254), metadata={"description": "In place of username."})
    password = Text(
        required=True, validate=Length(1, MAX_PASSWORD_CHARS), metadata={"example": "test123"}
    )
    grant_type = _grant("password")

    def faults_across(self, data: dict[str, Any], sent: Mapping[str, Any]) -> dict[str, str]:
        """Require the address under exactly one of its two names."""
        names = [name for name in ("username", "email") if sent.get(name)]
        if not names:
            return {"username": "Send the e-mail address as username or email."}
        if len(names) == 2 and data.get("username") != data.get("email"):
            return dict.fromkeys(names, "Two addresses were sent; send one of username and email.")
        return {}


class RefreshIn(TokenRequest):
    refresh_token = String(required=True, validate=Length(1, 512))
    grant_type = _grant("refresh_token")


class TokensOut(Schema):
    access_token = String(required=True)
    token_type = String(required=True, validate=OneOf(["bearer"]))
    expires_in = Integer(required=True, metadata={"description": "Seconds."})
    refresh_token = String(required=True)


class UserOut(Schema):
    id = UUID(required=True)
    email = Text(required=True)
    role = String(required=True, validate=OneOf(list(Role)))
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    updated_at = AwareDateTime(required=True, attribute="changed_at", default_timezone=UTC)


class ScanIn(StrictSchema):
    """One of `file` and `text`."""

    file = File(  # type: ignore[no-untyped-call]  # APIFlask's is not annotated
        metadata={"description": "A document; multipart only."}
    )
    text = String()
    force_llm = Flag(
        load_default=False,
        metadata={
            "description": "Ask the LLM, not the model.",
            "type": ["boolean", "integer", "string"],
            "enum": [True, False, 1, 0, *_FLAGS],
        },
    )

    sensitivity = String(
        validate=OneOf(SENSITIVITIES),
        metadata={
            "description": "balanced (default): fewest mistakes; recall: misses fewer risks; "
            "precision: raises fewer false alarms. For the model alone: an LLM gives no scores."
        },
    )

    @pre_load
    def _drop_blank_text(self, sent: Any, **_: object) -> Any:  # noqa: ANN401 - any JSON
        """Ignore the empty text field that an HTML form sends with a chosen file."""
        if isinstance(sent, Mapping) and _has_file(sent) and not _has_text(sent):
            return {name: value for name, value in sent.items() if name != "text"}
        return sent

    def faults_across(self, data: dict[str, Any], sent: Mapping[str, Any]) -> dict[str, str]:
        """Require exactly one document, and allow a sensitivity only for the model."""
        faults: dict[str, str] = {}
        if _has_file(sent) == _has_text(sent):
            faults = dict.fromkeys(("file", "text"), "Send one of file and text.")
        if data.get("force_llm") and "sensitivity" in sent:
            message = "An LLM gives no scores to choose by; send one of force_llm and sensitivity."
            faults |= dict.fromkeys(("force_llm", "sensitivity"), message)
        return faults


def _has_file(sent: Mapping[str, Any]) -> bool:
    return bool(sent.get("file", "") != "")  # a form part without a file name is text


def _has_text(sent: Mapping[str, Any]) -> bool:
    text = sent.get("text")
    is_blank = isinstance(text, str) and not text.strip()
    return "text" in sent and not (is_blank and _has_file(sent))


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
    source = String(required=True, validate=OneOf(list(Source)))


class ScanOut(Schema):
    scan_id = UUID(required=True, attribute="id")
    data = List(Nested(DataItemOut), required=True)
    source = String(required=True, validate=OneOf(list(Source)))
    timestamp = AwareDateTime(required=True, attribute="created_at", default_timezone=UTC)


class ScanSummaryOut(Schema):
    scan_id = UUID(required=True, attribute="id")
    user_id = UUID(required=True, metadata={"description": "Who scanned it."})
    filename = String(required=True, allow_none=True)
    source = String(required=True, validate=OneOf(list(Source)))
    n_findings = Integer(required=True)
    timestamp = AwareDateTime(required=True, attribute="created_at", default_timezone=UTC)


class ScanDetailOut(ScanOut):
    user_id = UUID(required=True, metadata={"description": "Who scanned it."})
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
    warnings = warning_list("coverage.warnings")


def _foreign_title(kind: str) -> Text:
    description = f"Exact title of a {kind} of AI_SERVICE_URL that the taxonomy does not have."
    return Text(validate=Length(1, MAX_TITLE_CHARS), metadata={"description": description})


class ScanListQuery(StrictSchema):
    scope = String(
        load_default="own",
        validate=OneOf(["own", "reviewable"]),
        metadata={
            "description": "reviewable: the scans that the caller may judge: everyone's for "
            "reviewers and administrators, the caller's own for others."
        },
    )
    page = Integer(
        validate=Range(1, NUMBERED_SCANS),
        metadata={"description": f"1-based; reaches the newest {NUMBERED_SCANS:,}, a cursor all."},
    )
    per_page = Integer(load_default=20, validate=Range(1, 100))
    cursor = String(
        validate=Length(1, 200), metadata={"description": "next_cursor of the page before."}
    )
    source = String(validate=OneOf(list(Source)))
    category = TaxonomyKey(CATEGORY_TITLES, metadata={"description": "Key or title."})
    risk_type = TaxonomyKey(RISK_TITLES, metadata={"description": "Key or title."})
    foreign_category = _foreign_title("category")
    foreign_risk = _foreign_title("risk")
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

    def faults_across(self, data: dict[str, Any], sent: Mapping[str, Any]) -> dict[str, str]:
        """Require one way of paging, and a page number within the limit."""
        if "page" in sent and "cursor" in sent:
            return dict.fromkeys(("page", "cursor"), "Send one of page and cursor.")
        if (data.get("page", 1) - 1) * data.get("per_page", 1) < NUMBERED_SCANS:
            return {}
        message = (
            f"Pages by number reach the newest {NUMBERED_SCANS:,} scans; continue with next_cursor "
            "or the Link header, or narrow by created_before."
        )
        return {"page": message}


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
