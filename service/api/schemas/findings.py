"""Findings of a scan."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Boolean, Float, Integer, List, Nested, String
from apiflask.validators import Length, OneOf, Range

from db.tables import Source
from service.api.http.taxonomy_names import MARK
from service.api.schemas.feedback import VERDICTS_ON_FINDINGS, FeedbackOut
from service.api.schemas.fields import (
    MAX_INT,
    CursorQuery,
    StoredName,
    StrictSchema,
    Text,
    character_offset,
    scope_field,
)
from service.api.schemas.listed_findings import ListedFindingOut
from service.api.schemas.scans import STORABLE, warning_list

OPEN = "open"
"""The filter for findings without a verdict."""


class FindingListQuery(StrictSchema):
    after = Integer(
        load_default=0,
        validate=Range(0, MAX_INT),
        metadata={"description": "The id of the last finding of the previous page."},
    )
    per_page = Integer(load_default=100, validate=Range(1, 1000))


class FindingOut(Schema):
    id = Integer(
        required=True,
        attribute="n",
        metadata={"description": "Number of the finding within the scan."},
    )
    risk_type = String(
        required=True,
        allow_none=True,
        metadata={
            MARK: "risk type key",
            "description": "null if the service at AI_SERVICE_URL returned a risk outside the taxonomy. "
            "A finding of an earlier model may have a key that GET /taxonomy no longer lists.",
        },
    )
    risk = String(required=True, metadata={"description": "Title of the risk."})
    category = String(required=True, allow_none=True, metadata={MARK: "category key"})
    category_title = String(required=True)
    score = Float(
        required=True,
        allow_none=True,
        metadata={
            "description": "Calibrated probability; null if an LLM or another service found it."
        },
    )
    threshold = Float(
        required=True,
        allow_none=True,
        metadata={
            "description": "Score from which the model reports this risk type; a sentence that states a risk "
            "for certain gets its likeliest type below it. null for an LLM, and for a model no longer in use."
        },
    )
    context = String(required=True, metadata={"description": "The sentence, verbatim."})
    start = character_offset("First character, in code points; null if not located.")
    end = character_offset("One past the last character.")
    located = Boolean(
        required=True,
        metadata={
            "description": "false if the text does not contain the sentence that AI_SERVICE_URL returned."
        },
    )
    page = Integer(
        required=True,
        allow_none=True,
        metadata={"description": "1-based; counts within the part if the document has parts."},
    )
    part = String(
        required=True,
        allow_none=True,
        metadata={
            "description": "Sheet, slide, attachment or file of an archive; a part within a part has "
            "both names.",
            "example": "annexes/risks.xlsx > Register",
        },
    )
    heading = String(
        required=True,
        allow_none=True,
        metadata={"description": "Header of the column, if the sentence is in a table cell."},
    )
    ocr = Boolean(
        required=True, metadata={"description": "Whether the sentence was read from a picture."}
    )
    feedback = Nested(
        FeedbackOut,
        required=True,
        allow_none=True,
        metadata={"description": "The caller's own verdict."},
    )


class FindingListOut(Schema):
    items = List(Nested(FindingOut), required=True)
    next_after = Integer(required=True, allow_none=True)
    warnings = warning_list("coverage.warnings")


class AllFindingsQuery(CursorQuery):
    scope = scope_field("findings")
    category = StoredName("category")
    risk_type = StoredName("risk type")
    q = Text(
        validate=Length(1, 200),
        metadata={"description": "Words or parts of words, all of which the sentence contains."},
    )
    created_from = AwareDateTime(
        default_timezone=UTC,
        validate=STORABLE,
        metadata={"description": "Time of the scan; inclusive."},
    )
    created_before = AwareDateTime(
        default_timezone=UTC,
        validate=STORABLE,
        metadata={"description": "Time of the scan; exclusive."},
    )
    source = String(validate=OneOf(list(Source)))
    document = UUID(metadata={"description": "Id of a document."})
    session = UUID(
        metadata={"description": "Id of a session: the findings of documents that are files in it."}
    )
    team = UUID(
        metadata={
            "description": "Id of a team with which the scan or its document is shared. The default scope "
            "`own` lists what the caller shares, `team` what others share too."
        }
    )
    verdict = String(
        validate=OneOf([OPEN, *VERDICTS_ON_FINDINGS]),
        metadata={
            "description": "The caller's current verdict; for reviewers the newest of anyone's. "
            f"`{OPEN}`: none."
        },
    )


class AllFindingsOut(Schema):
    items = List(Nested(ListedFindingOut), required=True)
    next_cursor = String(required=True, allow_none=True)
