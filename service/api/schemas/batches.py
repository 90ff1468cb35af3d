"""Batches of documents, and their items."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from apiflask import Schema
from apiflask.fields import (
    UUID,
    AwareDateTime,
    Boolean,
    Float,
    Integer,
    List,
    Nested,
    String,
)
from apiflask.validators import Length, OneOf, Range
from marshmallow import ValidationError
from marshmallow.fields import Field

from db.tables import BatchState, ItemState
from service.api.http.streamed_form import FormFiles
from service.api.schemas.fields import MAX_INT, StrictSchema, Text
from service.api.schemas.problems import ProblemOut
from service.api.schemas.scan_options import force_llm_field, option_faults, sensitivity_field
from service.api.schemas.scans import WarningOut
from service.domain.files.files import MAX_FILES

_SHOWN_STATES = [state for state in BatchState if state is not BatchState.RECEIVING]
_BINARY = {"type": "string", "format": "binary"}


class Files(Field[FormFiles]):
    """The files of a form, unread."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> FormFiles:  # noqa: ANN401 - marshmallow's
        if not isinstance(value, FormFiles):
            raise ValidationError("Send files as parts of a form with file names.")
        return value


class BatchIn(StrictSchema):
    """Files of a form, an archive, or the files of a session; a form has its fields before its files."""

    name = Text(
        validate=Length(1, 255),
        metadata={"description": "Default: the name of the first file or of the session."},
    )
    sensitivity = sensitivity_field()
    force_llm = force_llm_field()
    file = Files(
        metadata={"type": "array", "items": _BINARY, "description": "Documents; repeat the part."}
    )
    archive = Files(
        metadata={**_BINARY, "description": "A zip archive; each file in it becomes a document."}
    )
    session = UUID(metadata={"description": "A session of the caller's; JSON only."})
    file_ids = List(
        UUID(),
        validate=Length(1, MAX_FILES),
        metadata={"description": "Files of the session, in this order; by default all."},
    )

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Require one source of documents, and reject a sensitivity for the LLM."""
        faults = option_faults(data, raw)
        if not {"file", "archive", "session"} & raw.keys():
            faults["file"] = "Send files, an archive, or the id of a session."
        if {"file", "archive"} & raw.keys() and "session" in raw:
            faults["session"] = "Send either files or a session."
        if "file_ids" in raw and "session" not in raw:
            faults["file_ids"] = "Send file_ids with the session that has the files."
        return faults


class BatchOut(Schema):
    id = UUID(required=True)
    user_id = UUID(required=True, metadata={"description": "The owner."})
    name = String(required=True)
    state = String(required=True, validate=OneOf(_SHOWN_STATES))
    sensitivity = String(required=True, allow_none=True)
    force_llm = Boolean(required=True, allow_none=True)
    n_items = Integer(required=True)
    n_waiting = Integer(required=True)
    n_running = Integer(required=True)
    n_done = Integer(required=True)
    n_failed = Integer(required=True)
    n_cancelled = Integer(required=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    finished_at = AwareDateTime(required=True, allow_none=True, default_timezone=UTC)


class BatchDetailOut(BatchOut):
    items_per_s = Float(
        required=True,
        allow_none=True,
        metadata={
            "description": "Documents that ended in each second of the last minute; null if none did."
        },
    )
    seconds_left = Integer(
        required=True, allow_none=True, metadata={"description": "Estimated from items_per_s."}
    )


class BatchListOut(Schema):
    items = List(Nested(BatchOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class BatchItemsQuery(StrictSchema):
    state = String(validate=OneOf(list(ItemState)))
    warnings = Boolean(
        load_default=False,
        metadata={"description": "true: only documents whose scan has warnings."},
    )
    after = Integer(
        validate=Range(1, MAX_INT),
        metadata={"description": "The next_after of the previous page."},
    )
    per_page = Integer(load_default=50, validate=Range(1, 200))


class BatchItemOut(Schema):
    position = Integer(required=True, metadata={"description": "From 1, in the order of arrival."})
    name = String(
        required=True, allow_none=True, metadata={"description": "null for a pasted text."}
    )
    media_type = String(required=True)
    size_bytes = Integer(required=True)
    state = String(required=True, validate=OneOf(list(ItemState)))
    attempts = Integer(required=True)
    scan_id = UUID(
        required=True,
        allow_none=True,
        metadata={"description": "The scan, unless it was deleted since."},
    )
    n_findings = Integer(required=True, allow_none=True)
    warnings = List(
        Nested(WarningOut),
        required=True,
        metadata={"description": "Of the scan: what of the document was not read."},
    )
    problem = Nested(
        ProblemOut, required=True, allow_none=True, metadata={"description": "Why it failed."}
    )
    finished_at = AwareDateTime(required=True, allow_none=True, default_timezone=UTC)


class BatchItemListOut(Schema):
    items = List(Nested(BatchItemOut), required=True)
    next_after = Integer(required=True, allow_none=True)
