"""The risk register: risks, their findings, notes and history."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from apiflask import Schema
from apiflask.fields import (
    UUID,
    AwareDateTime,
    Boolean,
    Date,
    Float,
    Integer,
    List,
    Nested,
    String,
)
from apiflask.validators import Length, OneOf, Range

from db.tables import RiskState
from db.tables.risks import LEAST, MOST
from service.api.schemas.fields import (
    MAX_INT,
    CategoryName,
    CursorQuery,
    Flag,
    RiskTypeName,
    StoredName,
    StrictSchema,
    Text,
)
from service.domain.verdicts import Standing

MAX_TITLE_CHARS = 200
MAX_TEXT_CHARS = 10_000
_STATES = [*map(str, RiskState)]


class SourceIn(StrictSchema):
    scan_id = UUID(required=True)
    n = Integer(
        required=True,
        strict=True,
        validate=Range(1, MAX_INT),
        metadata={"description": "The finding's number."},
    )


class SourceQuery(StrictSchema):
    scan_id = UUID(required=True)
    n = Integer(required=True, validate=Range(1, MAX_INT))


class RiskChangeIn(StrictSchema):
    title = Text(validate=Length(1, MAX_TITLE_CHARS), metadata={"example": "Supplier may fail"})
    description = Text(validate=Length(0, MAX_TEXT_CHARS))
    category = CategoryName(allow_none=True)
    risk_type = RiskTypeName(allow_none=True)
    owner_id = UUID(
        metadata={"description": "Who answers for it: the caller, or a member of the risk's team."}
    )
    team_id = UUID(
        allow_none=True, metadata={"description": "A team of the caller, whose members see it."}
    )
    likelihood = Integer(strict=True, validate=Range(LEAST, MOST))
    impact = Integer(strict=True, validate=Range(LEAST, MOST))
    due_on = Date(allow_none=True, metadata={"example": "2027-03-31"})
    mitigation = Text(validate=Length(0, MAX_TEXT_CHARS))
    state = String(validate=OneOf(_STATES))


class RiskIn(RiskChangeIn):
    """`finding` names a confirmed finding that supports the new risk."""

    title = Text(
        required=True,
        validate=Length(1, MAX_TITLE_CHARS),
        metadata={"example": "Supplier may fail"},
    )
    finding = Nested(SourceIn)


class NoteIn(StrictSchema):
    text = Text(required=True, validate=Length(1, 5_000))


class RiskFilters(StrictSchema):
    """Which risks; all filters must hold."""

    state = String(validate=OneOf(_STATES))
    owner_id = UUID(metadata={"description": "Who answers for it."})
    category = StoredName("category")
    team = UUID(metadata={"description": "Id of a team."})
    likelihood = Integer(validate=Range(LEAST, MOST))
    impact = Integer(validate=Range(LEAST, MOST))
    overdue = Flag(
        metadata={
            "description": "true: the due date lies before today (UTC), and the risk is neither accepted nor "
            "closed. false: the others."
        }
    )
    q = Text(
        validate=Length(1, 200),
        metadata={"description": "Part of title, description or mitigation, in any case."},
    )


class RiskListQuery(RiskFilters, CursorQuery):
    pass


class RiskOwnersQuery(StrictSchema):
    team = UUID(metadata={"description": "Id of a team of the caller."})


class RiskOut(Schema):
    id = UUID(required=True)
    title = String(required=True, attribute="risk.title")
    description = String(required=True, attribute="risk.description")
    category = String(required=True, allow_none=True, attribute="risk.category")
    risk_type = String(required=True, allow_none=True, attribute="risk.risk_type")
    created_by = UUID(required=True, attribute="risk.user_id")
    creator = String(
        required=True, allow_none=True, metadata={"description": "null: the account is deleted."}
    )
    owner_id = UUID(required=True, attribute="risk.owner_id")
    owner = String(required=True, allow_none=True)
    team_id = UUID(required=True, allow_none=True, attribute="risk.team_id")
    team = String(required=True, allow_none=True)
    likelihood = Integer(required=True, attribute="risk.likelihood")
    impact = Integer(required=True, attribute="risk.impact")
    rating = Integer(
        required=True, attribute="risk.rating", metadata={"description": "likelihood times impact"}
    )
    due_on = Date(required=True, allow_none=True, attribute="risk.due_on")
    overdue = Boolean(required=True, attribute="is_overdue")
    mitigation = String(required=True, attribute="risk.mitigation")
    state = String(required=True, attribute="risk.state", validate=OneOf(_STATES))
    version = Integer(required=True, attribute="risk.version")
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    changed_at = AwareDateTime(required=True, attribute="risk.changed_at", default_timezone=UTC)
    n_findings = Integer(required=True)
    n_rejected = Integer(
        required=True, metadata={"description": "How many of them have the `verdict` rejected now."}
    )
    last_seen_at = AwareDateTime(
        required=True,
        allow_none=True,
        default_timezone=UTC,
        metadata={"description": "Time of the newest scan that has one of its findings."},
    )
    seen_in_newest = Boolean(
        required=True,
        allow_none=True,
        metadata={
            "description": "Whether the newest scan of one of its documents, of any version, still has the "
            "finding; null if no scan of them is stored."
        },
    )


class SeenInOut(Schema):
    scan_id = UUID(required=True)
    n = Integer(required=True)
    scanned_at = AwareDateTime(required=True, default_timezone=UTC)


class SupportingFindingOut(Schema):
    """A copy of the finding, which stays when the scan is deleted."""

    scan_id = UUID(required=True)
    n = Integer(required=True)
    document = String(required=True, allow_none=True)
    context = String(
        required=True,
        metadata={"description": "The sentence; empty once its owner's account is deleted."},
    )
    risk = String(required=True)
    category = String(required=True)
    score = Float(required=True, allow_none=True)
    part = String(required=True, allow_none=True)
    page = Integer(required=True, allow_none=True)
    scanned_at = AwareDateTime(required=True, default_timezone=UTC)
    last_seen_at = AwareDateTime(required=True, default_timezone=UTC)
    seen_in_newest = Boolean(required=True, allow_none=True)
    verdict = String(
        required=True,
        allow_none=True,
        validate=OneOf([*map(str, Standing)]),
        metadata={
            "description": "What the verdicts on it come to now, in all scans of its document: for reviewers "
            "everyone's, for others their own and that of the person who added it. null: none of these is "
            "stored."
        },
    )
    seen_in = List(
        Nested(SeenInOut),
        required=True,
        metadata={"description": "The newest scans of its document that have it, newest first."},
    )


class RiskDetailOut(RiskOut):
    may_change = Boolean(required=True, metadata={"description": "Whether the caller may."})
    findings = List(Nested(SupportingFindingOut), required=True)


class RiskListOut(Schema):
    items = List(Nested(RiskOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class NoteOut(Schema):
    id = UUID(required=True)
    author = String(required=True, allow_none=True)
    text = String(required=True, attribute="row.text")
    created_at = AwareDateTime(required=True, default_timezone=UTC)


class NoteListOut(Schema):
    items = List(Nested(NoteOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class FindingOfChangeOut(Schema):
    """The finding that a change added or removed."""

    scan_id = UUID(required=True)
    n = Integer(required=True)
    document = String(required=True, allow_none=True)
    context = String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The sentence; null if the finding no longer supports the risk and is in no "
            "stored scan of the caller."
        },
    )


class RiskHistoryItemOut(Schema):
    id = UUID(required=True)
    author = String(required=True, allow_none=True)
    field = String(required=True, attribute="row.field")
    before = String(required=True, allow_none=True, attribute="row.before")
    after = String(required=True, allow_none=True, attribute="row.after")
    finding = Nested(
        FindingOfChangeOut,
        required=True,
        allow_none=True,
        metadata={"description": "For the field `findings`; null for others."},
    )
    created_at = AwareDateTime(required=True, default_timezone=UTC)


class RiskHistoryOut(Schema):
    items = List(Nested(RiskHistoryItemOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class RiskMatrixOut(Schema):
    n_risks = List(
        List(Integer()),
        required=True,
        metadata={
            "description": "A row for each likelihood 1 to 5, a column for each impact 1 to 5."
        },
    )


class RiskOwnerOut(Schema):
    id = UUID(required=True)
    email = String(required=True)


class RiskOwnersOut(Schema):
    items = List(Nested(RiskOwnerOut), required=True)


class RiskInScanOut(Schema):
    n = Integer(required=True, metadata={"description": "The finding's number in this scan."})
    risk_id = UUID(required=True)
    title = String(required=True)
    state = String(required=True, validate=OneOf(_STATES))


class RisksInScanOut(Schema):
    items = List(Nested(RiskInScanOut), required=True)


class RiskImportIn(StrictSchema):
    dry_run = Flag(
        load_default=False,
        metadata={"description": "true: nothing is stored; the answer lists the errors."},
    )


class RowErrorOut(Schema):
    row = Integer(required=True, metadata={"description": "Row of the sheet; the header is row 1."})
    field = String(required=True)
    message = String(required=True)


class RiskImportOut(Schema):
    n_created = Integer(required=True)
    n_changed = Integer(required=True)
    n_unchanged = Integer(required=True)
    errors = List(
        Nested(RowErrorOut),
        required=True,
        metadata={"description": "Of a dry run; otherwise any error refuses the whole file."},
    )
    ignored_columns = List(
        String(),
        required=True,
        metadata={"description": "Texts of row 1 that name no column; nothing of these was read."},
    )


def filter_values(query: dict[str, Any]) -> dict[str, Any]:
    """Return the filters of a query by the names of RiskFilter."""
    names = {"team": "team_id", "overdue": "is_overdue"}
    own = RiskFilters().fields
    return {names.get(name, name): value for name, value in query.items() if name in own}
