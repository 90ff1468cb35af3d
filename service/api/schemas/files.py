"""Work sessions and the files in them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, File, Integer, List, Nested, String
from apiflask.validators import Length, OneOf

from service.api.schemas.fields import CursorQuery, StrictSchema, Text
from service.api.schemas.problems import ProblemOut
from service.api.schemas.scan_options import force_llm_field, option_faults, sensitivity_field
from service.domain.file_scans import FileStatus
from service.domain.files.files import MAX_FILES


class WorkSessionIn(StrictSchema):
    name = Text(required=True, validate=Length(1, 255), metadata={"example": "Tender 2026"})


class WorkSessionOut(Schema):
    id = UUID(required=True, attribute="work_session.id")
    user_id = UUID(
        required=True, attribute="work_session.user_id", metadata={"description": "The owner."}
    )
    name = String(required=True, attribute="work_session.name")
    created_at = AwareDateTime(
        required=True, attribute="work_session.created_at", default_timezone=UTC
    )
    n_files = Integer(required=True)
    size_bytes = Integer(
        required=True, metadata={"description": "Of all files; equal files count each."}
    )


class WorkSessionListQuery(CursorQuery):
    scope = String(
        load_default="own",
        validate=OneOf(["own", "team"]),
        metadata={
            "description": "own: the caller's sessions. team: those shared with a team of the caller."
        },
    )


class WorkSessionListOut(Schema):
    items = List(Nested(WorkSessionOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class FileIn(StrictSchema):
    file = File(  # type: ignore[no-untyped-call]  # APIFlask's is not annotated
        required=True, metadata={"description": "The file; its name is stored as metadata."}
    )


class FileOut(Schema):
    id = UUID(required=True)
    session_id = UUID(required=True, attribute="work_session_id")
    name = String(required=True)
    media_type = String(required=True, metadata={"description": "As the client declared it."})
    size_bytes = Integer(required=True)
    sha256 = String(required=True)
    pages = Integer(
        required=True,
        allow_none=True,
        metadata={"description": "null before the first scan, and for formats without pages."},
    )
    created_at = AwareDateTime(required=True, default_timezone=UTC)


class SessionScanIn(StrictSchema):
    """How to scan the files of a session, and which."""

    force_llm = force_llm_field()
    sensitivity = sensitivity_field()
    file_ids = List(
        UUID(),
        validate=Length(1, MAX_FILES),
        metadata={"description": "The files to scan, in this order; by default all, oldest first."},
    )

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Reject a sensitivity for the LLM."""
        return option_faults(data, raw)


class FileScanOut(Schema):
    file_id = UUID(required=True, attribute="file.id")
    name = String(required=True, attribute="file.name")
    status = String(
        required=True,
        validate=OneOf(list(FileStatus)),
        metadata={
            "description": "not_done: the request's time ended before this file was scanned; send its id in "
            "another request."
        },
    )
    scan_id = UUID(required=True, allow_none=True)
    n_findings = Integer(required=True, allow_none=True)
    problem = Nested(
        ProblemOut, required=True, allow_none=True, metadata={"description": "Why it failed."}
    )


class SessionScanOut(Schema):
    items = List(Nested(FileScanOut), required=True)
    n_scanned = Integer(required=True)
    n_failed = Integer(required=True)
    n_not_done = Integer(required=True)


class FileListOut(Schema):
    items = List(Nested(FileOut), required=True)
    next_cursor = String(required=True, allow_none=True)
