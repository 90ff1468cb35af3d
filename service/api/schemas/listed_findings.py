"""A finding beside those of other scans."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Float, Integer, String
from apiflask.validators import OneOf

from db.tables import Source
from service.api.http.taxonomy_names import MARK


class ListedFindingOut(Schema):
    """`/scans/{scan_id}?finding={finding}` is the page on which it can be reviewed."""

    scan_id = UUID(required=True)
    finding = Integer(required=True, metadata={"description": "Number of the finding in its scan."})
    document_id = UUID(required=True, allow_none=True)
    user_id = UUID(required=True, metadata={"description": "The owner of the scan."})
    filename = String(required=True, allow_none=True)
    created_at = AwareDateTime(
        required=True, default_timezone=UTC, metadata={"description": "Time of the scan."}
    )
    source = String(required=True, validate=OneOf(list(Source)))
    risk_type = String(required=True, allow_none=True, metadata={MARK: "risk type key"})
    risk = String(required=True, metadata={"description": "Title of the risk."})
    category = String(required=True, allow_none=True, metadata={MARK: "category key"})
    category_title = String(required=True)
    score = Float(required=True, allow_none=True)
    context = String(required=True, metadata={"description": "The sentence, verbatim."})
    page = Integer(required=True, allow_none=True)
    part = String(required=True, allow_none=True)
    verdict = String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The caller's current verdict; for reviewers the newest of anyone's. null: none."
        },
    )
