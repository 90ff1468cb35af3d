"""Documents, their pages and their text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from apiflask import Schema
from apiflask.fields import UUID, AwareDateTime, Boolean, Float, Integer, List, Nested, String
from apiflask.validators import Length, OneOf, Range

from db.tables import StoredText
from service.api.http.taxonomy_names import MARK
from service.api.schemas.fields import (
    MAX_INT,
    CursorQuery,
    RiskTypeName,
    StrictSchema,
    Text,
    scope_field,
)
from service.api.schemas.scan_options import force_llm_field, option_faults, sensitivity_field
from service.domain.documents.documents import MAX_SCANS, MAX_TEXT_CHARS, MAX_VERSIONS
from service.domain.documents.scores import MAX_SENTENCES
from service.nlp.artifacts.operating_points import SENSITIVITIES


class DocumentListQuery(CursorQuery):
    scope = scope_field("documents")
    versions = String(
        load_default="newest",
        validate=OneOf(["newest", "all"]),
        metadata={"description": "newest: only the newest version of each document."},
    )


class DocumentDeletionQuery(StrictSchema):
    versions = String(
        load_default="this",
        validate=OneOf(["this", "all"]),
        metadata={"description": "all: delete the other versions of the document too."},
    )


class DocumentTextQuery(StrictSchema):
    """A page, or a range of characters; without either, the beginning of the text."""

    page = Integer(validate=Range(1, MAX_INT), metadata={"description": "1-based."})
    part = Text(
        validate=Length(1, 1000),
        metadata={"description": "With page: the part of the document that has the page."},
    )
    start = Integer(
        validate=Range(0, MAX_INT),
        metadata={"description": "First character, in code points; 0 by default."},
    )
    end = Integer(
        validate=Range(1, MAX_INT),
        metadata={"description": "One past the last character; by default the end of the text."},
    )

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Reject a page with a range, and an empty range."""
        faults: dict[str, str] = {}
        if "page" in raw and ("start" in raw or "end" in raw):
            faults["page"] = "Send either page, or start and end."
        if "part" in raw and "page" not in raw:
            faults["part"] = "Send page too."
        if data.get("end", MAX_INT) <= data.get("start", 0):
            faults["end"] = "Must be greater than start."
        return faults


class RangeQuery(StrictSchema):
    """A range of characters."""

    start = Integer(
        required=True,
        validate=Range(0, MAX_INT),
        metadata={"description": "First character, in code points."},
    )
    end = Integer(
        required=True,
        validate=Range(1, MAX_INT),
        metadata={"description": "One past the last character."},
    )

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:  # noqa: ARG002 - the base's
        """Reject an empty range."""
        if "start" in data and data.get("end", MAX_INT) <= data["start"]:
            return {"end": "Must be greater than start."}
        return {}


class ScoresQuery(RangeQuery):
    sensitivity = String(
        load_default="balanced",
        validate=OneOf(SENSITIVITIES),
        metadata={"description": "The operating point whose thresholds apply."},
    )


class WordsQuery(RangeQuery):
    risk_type = RiskTypeName(required=True)


class ScanAgainIn(StrictSchema):
    """How to scan the document again; an empty object follows your settings."""

    force_llm = force_llm_field()
    sensitivity = sensitivity_field()

    def faults_across(self, data: dict[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
        """Reject a sensitivity for the LLM."""
        return option_faults(data, raw)


class DocumentSummaryOut(Schema):
    id = UUID(required=True)
    user_id = UUID(required=True, metadata={"description": "The owner of the document."})
    name = String(
        required=True, allow_none=True, metadata={"description": "File name; null for a text."}
    )
    media_type = String(required=True)
    sha256 = String(
        required=True,
        allow_none=True,
        metadata={"description": "Of the bytes as submitted; null if text_stored is none."},
    )
    size_bytes = Integer(required=True)
    n_characters = Integer(
        required=True,
        allow_none=True,
        metadata={"description": "null if only the service at AI_SERVICE_URL can read the file."},
    )
    n_pages = Integer(
        required=True, allow_none=True, metadata={"description": "null if the format has no pages."}
    )
    language = String(
        required=True,
        allow_none=True,
        metadata={"description": "ISO 639-1 code of the text's main language."},
    )
    text_stored = String(
        required=True,
        validate=OneOf(list(StoredText)),
        metadata={
            "description": "full: the text. hash: its SHA-256 only. none: neither. The sentences of "
            "findings are stored in any case."
        },
    )
    text_reason = String(
        required=True,
        allow_none=True,
        metadata={"description": "Why the text is not stored, in a sentence; null if it is."},
    )
    original_stored = Boolean(
        required=True, metadata={"description": "Whether the bytes of the upload are stored."}
    )
    version = Integer(
        required=True,
        metadata={"description": "Counts the versions of the document from 1, the oldest."},
    )
    n_scans = Integer(required=True)
    created_at = AwareDateTime(
        required=True,
        default_timezone=UTC,
        metadata={"description": "When it was scanned first."},
    )


class PageOut(Schema):
    """A page; of a part without pages a piece of at most 50,000 characters, with page null."""

    page = Integer(
        required=True,
        allow_none=True,
        metadata={"description": "1-based, in its part if the document has parts."},
    )
    part = String(
        required=True,
        allow_none=True,
        metadata={"description": "Name of the sheet, slide or attachment, if there are any."},
    )
    start = Integer(required=True, metadata={"description": "First character, in code points."})
    end = Integer(required=True, metadata={"description": "One past the last character."})


class DocumentScanOut(Schema):
    id = UUID(required=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    model = String(required=True, metadata={"description": "name/version"})
    sensitivity = String(required=True, allow_none=True)
    n_findings = Integer(required=True)


class VersionOut(Schema):
    id = UUID(required=True, metadata={"description": "The document of this version."})
    version = Integer(required=True)
    name = String(required=True, allow_none=True)
    n_scans = Integer(required=True)
    newest_scan = Nested(DocumentScanOut, required=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)


class DocumentOut(DocumentSummaryOut):
    pages = List(
        Nested(PageOut),
        required=True,
        metadata={"description": "Without gaps, in order; empty if the text is not stored."},
    )
    scans = List(
        Nested(DocumentScanOut),
        required=True,
        metadata={"description": f"Of this version, newest first; at most {MAX_SCANS}."},
    )
    versions = List(
        Nested(VersionOut),
        required=True,
        metadata={"description": f"This one included, newest first; at most {MAX_VERSIONS}."},
    )


class TypeScoreOut(Schema):
    risk_type = String(required=True, metadata={MARK: "risk type key"})
    score = Float(required=True, metadata={"description": "Calibrated probability."})
    threshold = Float(required=True)
    is_reported = Boolean(
        required=True, metadata={"description": "Whether a scan reports this risk type here."}
    )


class SentenceScoresOut(Schema):
    start = Integer(required=True, metadata={"description": "First character, in code points."})
    end = Integer(required=True, metadata={"description": "One past the last character."})
    context = String(required=True, metadata={"description": "The sentence, verbatim."})
    risk_score = Float(
        required=True, metadata={"description": "Probability that it states any risk."}
    )
    scores = List(
        Nested(TypeScoreOut), required=True, metadata={"description": "In taxonomy order."}
    )


class DocumentScoresOut(Schema):
    """The sentences that overlap the range, each scored among its neighbours as in a scan."""

    model = String(required=True, metadata={"description": "name/version of the serving model"})
    risk_threshold = Float(
        required=True,
        metadata={"description": "Risk score from which a sentence states a risk."},
    )
    sentences = List(
        Nested(SentenceScoresOut),
        required=True,
        metadata={"description": f"In document order; at most {MAX_SENTENCES}."},
    )


class WordEffectOut(Schema):
    start = Integer(
        required=True, metadata={"description": "First character, counted in the sentence."}
    )
    end = Integer(required=True)
    text = String(required=True)
    effect = Float(
        required=True,
        metadata={"description": "The sentence's score minus its score without this word."},
    )


class SentenceWordsOut(Schema):
    """How the score of a sentence changes without each of its words."""

    model = String(required=True, metadata={"description": "name/version of the serving model"})
    start = Integer(required=True, metadata={"description": "First character of the sentence."})
    end = Integer(required=True)
    context = String(required=True, metadata={"description": "The sentence, verbatim."})
    score = Float(required=True, attribute="explanation.score")
    words = List(Nested(WordEffectOut), required=True, attribute="explanation.words")


class DocumentListOut(Schema):
    items = List(Nested(DocumentSummaryOut), required=True)
    next_cursor = String(required=True, allow_none=True)


class DocumentTextOut(Schema):
    """Part of the text; continue with `start` set to this `end`."""

    start = Integer(required=True, metadata={"description": "First character, in code points."})
    end = Integer(
        required=True,
        metadata={
            "description": f"One past the last character; an answer has at most {MAX_TEXT_CHARS:,}."
        },
    )
    text = String(required=True)
    page = Integer(
        required=True,
        allow_none=True,
        metadata={"description": "The page on which it begins; null without pages."},
    )
    part = String(
        required=True,
        allow_none=True,
        metadata={"description": "The sheet, slide or attachment in which it begins."},
    )
