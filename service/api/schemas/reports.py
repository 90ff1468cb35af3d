"""Which scans a report is about, and its format."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Integer, List, String
from apiflask.validators import Length, OneOf, Range

from service.api.schemas.fields import StrictSchema, Text, scope_field
from service.domain.reports.links import MAX_LIFE, MIN_LIFE
from service.domain.reports.reports import Format

MAX_SCAN_IDS = 100
_SELECTING = ("scan_id", "session", "team", "created_from", "created_before")


def format_field() -> String:
    """Return the parameter for a report's format."""
    return String(
        validate=OneOf([*map(str, Format)]),
        metadata={
            "description": "By default the one that Accept prefers; JSON without a preference."
        },
    )


class ScanReportQuery(StrictSchema):
    format = format_field()


class ReportLinkIn(StrictSchema):
    format = String(required=True, validate=OneOf([*map(str, Format)]))
    expires_in_s = Integer(
        load_default=7 * 24 * 3600,
        strict=True,
        validate=Range(int(MIN_LIFE.total_seconds()), int(MAX_LIFE.total_seconds())),
        metadata={"description": "How long the link works, in seconds; a week by default."},
    )


class ReportLinkOut(Schema):
    url = String(
        required=True,
        metadata={
            "description": "Without PUBLIC_URL, only the path. Anyone who has it can read the report."
        },
    )
    expires_at = AwareDateTime(required=True, default_timezone=UTC)


class ReportLinkQuery(StrictSchema):
    token = Text(required=True, validate=Length(1, 500))


class ReportQuery(ScanReportQuery):
    """Which scans; all parameters must hold, and one must be there."""

    scan_id = List(
        UUID(),
        validate=Length(1, MAX_SCAN_IDS),
        metadata={"description": "Ids of scans; may be repeated."},
    )
    session = UUID(
        metadata={"description": "Id of a session: the scans of the files that it has now."}
    )
    team = UUID(metadata={"description": "Id of a team: the scans that are shared with it."})
    created_from = AwareDateTime(
        default_timezone=UTC, metadata={"description": "Inclusive; UTC without an offset."}
    )
    created_before = AwareDateTime(default_timezone=UTC, metadata={"description": "Exclusive."})
    scope = scope_field("scans")

    def faults_across(self, _data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Require a selection, and refuse a scope beside one that needs none."""
        if not any(name in raw for name in _SELECTING):
            return {"scan_id": f"Send at least one of {', '.join(_SELECTING)}."}
        named = [name for name in _SELECTING[:3] if name in raw]
        if "scope" in raw and named:
            return {"scope": f"Only created_from and created_before need it, not {named[0]}."}
        return {}
