"""Scans, their coverage and their warnings."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from apiflask import Schema
from apiflask.fields import (
    UUID,
    AwareDateTime,
    Boolean,
    File,
    Float,
    Integer,
    List,
    Nested,
    String,
)
from apiflask.validators import Length, OneOf, Range, Regexp
from marshmallow import pre_load

from db.tables import Source
from service.api.schemas.fields import (
    MAX_INT,
    EmptyAsNull,
    StoredName,
    StrictSchema,
    Text,
    scope_field,
)
from service.api.schemas.scan_options import force_llm_field, option_faults, sensitivity_field
from service.domain.limits import COUNTED_SCANS, NUMBERED_SCANS
from service.domain.scans.causes import Cause
from service.domain.scans.changes import Change
from service.nlp.taxonomy import MAX_TITLE_CHARS

STORABLE = Range(datetime(1970, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC))
"""Times that every database can store."""


class ScanIn(StrictSchema):
    """One of `file` and `text`."""

    file = File(  # type: ignore[no-untyped-call]  # APIFlask's is not annotated
        metadata={"description": "The document; multipart only."}
    )
    text = String()
    force_llm = force_llm_field()
    sensitivity = sensitivity_field()

    @pre_load
    def _drop_blank_text(self, raw: Any, **_: object) -> Any:  # noqa: ANN401 - any JSON
        """Ignore the empty text field that an HTML form sends with a chosen file."""
        if isinstance(raw, Mapping) and _has_file(raw) and not _has_text(raw):
            return {name: value for name, value in raw.items() if name != "text"}
        return raw

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Require exactly one document, and reject a sensitivity for the LLM."""
        faults: dict[str, str] = {}
        if _has_file(raw) == _has_text(raw):
            faults = dict.fromkeys(("file", "text"), "Send either file or text.")
        return faults | option_faults(data, raw)


class StoredScanIn(ScanIn):
    """One of `file`, `text` and `file_id`."""

    session = UUID(
        metadata={"description": "Id of a session, which keeps the uploaded file; with file only."}
    )
    file_id = UUID(metadata={"description": "Id of a file in one of the caller's sessions."})
    document = UUID(
        metadata={
            "description": "Id of a stored document, or of a version of it, whose next version this is."
        }
    )

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Allow a stored file as the document, and a session for an uploaded one only."""
        faults = super().faults_across(data, raw)
        if "file_id" in raw and not (_has_file(raw) or _has_text(raw)):
            faults = {name: fault for name, fault in faults.items() if name not in {"file", "text"}}
        elif "file_id" in raw:
            faults |= dict.fromkeys(("file", "text", "file_id"), "Send one of file, text, file_id.")
        if "session" in raw and not _has_file(raw):
            faults["session"] = "Send session with an uploaded file."
        return faults


def _has_file(raw: Mapping[str, Any]) -> bool:
    return bool(raw.get("file", "") != "")  # a form part without a file name is text


def _has_text(raw: Mapping[str, Any]) -> bool:
    text = raw.get("text")
    is_blank = isinstance(text, str) and not text.strip()
    return "text" in raw and not (is_blank and _has_file(raw))


class ScanHeaders(Schema):
    idempotency_key = String(
        data_key="Idempotency-Key",
        validate=Regexp(r"^[\x21-\x7e]{1,255}$", error="1 to 255 visible ASCII characters."),
        metadata={
            "description": "A repeated request with the same key and content returns the stored scan."
        },
    )


class DataItemOut(Schema):
    """A finding with the three keys of the original contract."""

    risk = String(required=True, metadata={"description": "Title of the risk type."})
    category = String(required=True, metadata={"description": "Title of the category."})
    context = String(required=True, metadata={"description": "The sentence, verbatim."})


class AnalysisOut(Schema):
    data = List(Nested(DataItemOut), required=True)
    source = String(required=True, validate=OneOf(list(Source)))


class ScanOut(Schema):
    scan_id = UUID(required=True, attribute="scan.id")
    data = List(Nested(DataItemOut), required=True)
    source = String(required=True, attribute="scan.source", validate=OneOf(list(Source)))
    timestamp = AwareDateTime(required=True, attribute="scan.created_at", default_timezone=UTC)


class WarningOut(Schema):
    """A reason why a result may be less reliable."""

    code = String(required=True, metadata={"example": "language_not_read"})
    message = String(required=True)


def warning_list(attribute: str) -> List[Any]:
    """Return the field of a scan's warnings; responses with a new scan have X-Riskscan-Warning headers."""
    return List(Nested(WarningOut), required=True, attribute=attribute, dump_default=[])


class ScanSummaryOut(Schema):
    scan_id = UUID(required=True, attribute="id")
    user_id = UUID(required=True, metadata={"description": "The owner of the scan."})
    filename = String(required=True, allow_none=True)
    source = String(required=True, validate=OneOf(list(Source)))
    n_findings = Integer(required=True)
    timestamp = AwareDateTime(required=True, attribute="created_at", default_timezone=UTC)
    warnings = warning_list("coverage.warnings")


class PartOut(Schema):
    """A sheet, slide, attachment or file of an archive."""

    name = String(required=True, metadata={"example": "annexes/risks.xlsx > Register"})
    characters = Integer(required=True)
    pages = Integer(required=True, allow_none=True)
    pages_without_text = List(Integer(), required=True)
    pages_by_ocr = List(Integer(), required=True)
    problem = String(
        required=True,
        allow_none=True,
        metadata={"description": "Why this part was not read; null if it was."},
    )


class CoverageOut(Schema):
    """How much of the document was analyzed; text is never truncated."""

    characters = Integer(
        required=True,
        allow_none=True,
        metadata={"description": "null if only the service at AI_SERVICE_URL can read the file."},
    )
    sentences = Integer(required=True, allow_none=True)
    pages = Integer(
        required=True, allow_none=True, metadata={"description": "Of all parts together."}
    )
    pages_without_text = List(
        Integer(),
        required=True,
        metadata={"description": "Of a document without parts; each part has its own list."},
    )
    pages_by_ocr = List(
        Integer(),
        required=True,
        dump_default=[],
        metadata={"description": "Pages whose picture was read, as above."},
    )
    parts = List(Nested(PartOut), required=True, dump_default=[])
    truncated = Boolean(required=True)
    language = String(
        required=True,
        allow_none=True,
        dump_default=None,
        metadata={
            "description": "ISO 639-1 code of the text's main language; null if the text has too "
            "few words, and for scans older than this field."
        },
    )
    language_share = Float(
        required=True,
        allow_none=True,
        dump_default=None,
        metadata={
            "description": "The main language's share of the text, 0 to 1, estimated from a sample."
        },
    )
    hidden_findings = Integer(
        required=True,
        dump_default=0,
        metadata={"description": "Findings below the thresholds of your settings, not reported."},
    )


class ScanDetailOut(ScanOut):
    user_id = UUID(
        required=True, attribute="scan.user_id", metadata={"description": "The owner of the scan."}
    )
    filename = String(required=True, allow_none=True, attribute="scan.filename")
    n_findings = Integer(required=True, attribute="scan.n_findings")
    sensitivity = String(
        required=True,
        allow_none=True,
        attribute="scan.sensitivity",
        metadata={"description": "null for an LLM, and for scans older than this field."},
    )
    model_name = String(required=True, attribute="scan.model_name")
    model_version = String(required=True, attribute="scan.model_version")
    document_id = UUID(
        required=True,
        allow_none=True,
        attribute="scan.document_id",
        metadata={"description": "null for scans that are older than stored documents."},
    )
    document_sha256 = EmptyAsNull(
        required=True,
        allow_none=True,
        attribute="scan.document_sha256",
        metadata={"description": "null if the service was to store no hash of the document."},
    )
    coverage = Nested(CoverageOut, required=True, attribute="scan.coverage")
    warnings = warning_list("scan.coverage.warnings")


def _foreign_title(kind: str) -> Text:
    description = f"Exact title of a {kind} from AI_SERVICE_URL that is not in the taxonomy."
    return Text(validate=Length(1, MAX_TITLE_CHARS), metadata={"description": description})


class ScanListQuery(StrictSchema):
    scope = scope_field("scans")
    page = Integer(
        validate=Range(1, NUMBERED_SCANS),
        metadata={
            "description": f"1-based; reaches the newest {NUMBERED_SCANS:,} scans. Cursors reach all."
        },
    )
    per_page = Integer(load_default=20, validate=Range(1, 100))
    cursor = String(
        validate=Length(1, 200), metadata={"description": "The next_cursor of the previous page."}
    )
    source = String(validate=OneOf(list(Source)))
    category = StoredName("category")
    risk_type = StoredName("risk type")
    foreign_category = _foreign_title("category")
    foreign_risk = _foreign_title("risk")
    q = Text(
        validate=Length(1, 200),
        metadata={"description": "Part of the file name or of a finding's sentence."},
    )
    created_from = AwareDateTime(
        default_timezone=UTC, validate=STORABLE, metadata={"description": "Inclusive."}
    )
    created_before = AwareDateTime(
        default_timezone=UTC, validate=STORABLE, metadata={"description": "Exclusive."}
    )

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Reject page with cursor, and a page number beyond the limit."""
        if "page" in raw and "cursor" in raw:
            return dict.fromkeys(("page", "cursor"), "Send either page or cursor.")
        if (data.get("page", 1) - 1) * data.get("per_page", 1) < NUMBERED_SCANS:
            return {}
        message = (
            f"Page numbers reach the newest {NUMBERED_SCANS:,} scans; continue with next_cursor "
            "or the Link header, or filter by created_before."
        )
        return {"page": message}


class ScanListOut(Schema):
    items = List(Nested(ScanSummaryOut), required=True)
    page = Integer(required=True, allow_none=True, metadata={"description": "null with a cursor."})
    per_page = Integer(required=True)
    total = Integer(required=True, allow_none=True, metadata={"description": "null with a cursor."})
    total_relation = String(
        required=True,
        allow_none=True,
        validate=OneOf(["eq", "gte"]),
        metadata={
            "description": "eq: the total is exact. gte: there may be more, since only the newest "
            f"{COUNTED_SCANS:,} scans are counted. null with a cursor."
        },
    )
    next_cursor = String(required=True, allow_none=True)


class ScanChangesQuery(StrictSchema):
    since = UUID(
        metadata={
            "description": "Id of an earlier scan of the same owner; by default the scan of this document, "
            "or of another version of it, before this one."
        }
    )
    after = Integer(
        load_default=0,
        validate=Range(0, MAX_INT),
        metadata={"description": "The n of the last item of the previous page."},
    )
    per_page = Integer(load_default=100, validate=Range(1, 1000))


class ChangedFindingOut(Schema):
    n = Integer(required=True, metadata={"description": "Number of the item in the list."})
    change = String(required=True, validate=OneOf(list(Change)))
    cause = String(
        required=True,
        allow_none=True,
        validate=OneOf(list(Cause)),
        metadata={
            "description": "Why it is new or gone. document: the other scan's document lacks the sentence. "
            "model, sensitivity: the documents have it, and these differ. other: neither differs, but the "
            "thresholds in your settings or an LLM's answer. null if it is the same, and if document and "
            "analysis differ and a text is not stored."
        },
    )
    finding = Integer(
        required=True,
        allow_none=True,
        attribute="finding.n",
        dump_default=None,
        metadata={"description": "Its id in this scan; null if it is gone."},
    )
    since = Integer(
        required=True,
        allow_none=True,
        attribute="since.n",
        dump_default=None,
        metadata={"description": "Its id in the earlier scan; null if it is new."},
    )
    fingerprint = String(
        required=True,
        metadata={
            "description": "Of the sentence without differences of white space and case, the risk type, "
            "and the number among equal findings."
        },
    )


class ScanChangesOut(Schema):
    scan = UUID(required=True, attribute="scan.id")
    since = UUID(
        required=True,
        allow_none=True,
        attribute="since.id",
        dump_default=None,
        metadata={"description": "null if the document has no earlier scan; then all are new."},
    )
    document_changed = Boolean(required=True)
    model_changed = Boolean(required=True)
    sensitivity_changed = Boolean(required=True)
    n_new = Integer(required=True)
    n_same = Integer(required=True)
    n_gone = Integer(required=True)
    items = List(
        Nested(ChangedFindingOut),
        required=True,
        metadata={"description": "This scan's findings in order, then those that are gone."},
    )
    next_after = Integer(required=True, allow_none=True)
