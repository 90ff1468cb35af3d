"""Search by words and by meaning, and findings similar to one."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import (
    UUID,
    AwareDateTime,
    DelimitedList,
    Float,
    Integer,
    List,
    Nested,
    String,
)
from apiflask.validators import Length, OneOf, Range

from service.api.schemas.fields import StoredName, StrictSchema, Text, scope_field
from service.api.schemas.listed_findings import ListedFindingOut
from service.domain.search.search import IndexService, Meaning, Way
from service.domain.search.terms import Kind

MAX_QUERY_CHARS = 500


class SearchQuery(StrictSchema):
    q = Text(
        required=True,
        validate=Length(1, MAX_QUERY_CHARS),
        metadata={
            "description": "Words, a phrase or a question. No character has a special meaning; a text of "
            "stop words alone, such as `the`, is refused."
        },
    )
    kind = DelimitedList(
        String(validate=OneOf(list(Kind))),
        load_default=lambda: list(Kind),
        validate=Length(1, len(Kind)),
        metadata={"description": "What to find, separated by commas; without it, everything."},
    )
    scope = scope_field("findings and documents")
    category = StoredName("category")
    limit = Integer(load_default=20, validate=Range(1, 100))


class SimilarQuery(StrictSchema):
    scope = scope_field("findings")
    limit = Integer(load_default=10, validate=Range(1, 100))


class FoundDocumentOut(Schema):
    id = UUID(required=True)
    user_id = UUID(required=True, metadata={"description": "The owner of the document."})
    name = String(required=True, allow_none=True)
    media_type = String(required=True)
    created_at = AwareDateTime(required=True, default_timezone=UTC)
    version = Integer(required=True)
    newest_scan = UUID(required=True, metadata={"description": "Id of its newest scan."})


class HitOut(Schema):
    kind = String(required=True, validate=OneOf(list(Kind)))
    score = Float(
        required=True,
        metadata={"description": "Sum of reciprocal ranks: it orders the results of one answer."},
    )
    ways = List(
        String(validate=OneOf(list(Way))),
        required=True,
        metadata={
            "description": "Whether its words matched, its meaning was near, or the index service found it."
        },
    )
    similarity = Float(
        required=True,
        allow_none=True,
        metadata={
            "description": "Cosine of the meanings, -1 to 1; null if it is not among the nearest."
        },
    )
    finding = Nested(
        ListedFindingOut, required=True, allow_none=True, metadata={"description": "If it is one."}
    )
    document = Nested(
        FoundDocumentOut, required=True, allow_none=True, metadata={"description": "If it is one."}
    )


class SearchOut(Schema):
    items = List(Nested(HitOut), required=True, metadata={"description": "Best first."})
    meaning = String(
        required=True,
        validate=OneOf(list(Meaning)),
        metadata={
            "description": "Which findings were searched by meaning. all: every one. part: some have no "
            "vector yet, or others share more than 1,000 scans, of which the newest were searched. none: "
            "words only."
        },
    )
    index_service = String(
        required=True,
        validate=OneOf(list(IndexService)),
        metadata={
            "description": "Whether the index service of INDEXER_URL took part. unavailable: the local index "
            "answered alone. off: there is none, or no documents were searched."
        },
    )
