"""Search by words and by meaning, and findings similar to one."""

from __future__ import annotations

from datetime import UTC

from apiflask import Schema
from apiflask.fields import (
    UUID,
    AwareDateTime,
    Boolean,
    DelimitedList,
    Float,
    Integer,
    List,
    Nested,
    String,
)
from apiflask.validators import Length, OneOf, Range

from db.tables import CourseStatus
from service.api.schemas.fields import StoredName, StrictSchema, Text, scope_field
from service.api.schemas.listed_findings import ListedFindingOut
from service.domain.search.terms import Kind
from service.domain.search.values import IndexService, Meaning, Way

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


class FoundLessonOut(Schema):
    id = UUID(required=True, attribute="lesson.id")
    title = String(required=True, attribute="lesson.title")
    minutes = Integer(required=True, attribute="lesson.minutes")
    course_id = UUID(required=True, attribute="course.id")
    course_code = String(required=True, attribute="course.code")
    course_title = String(required=True, attribute="course.title")
    course_status = String(
        required=True, attribute="course.status", validate=OneOf(list(CourseStatus))
    )
    snippet = String(
        required=True,
        metadata={"description": "The part of its text that fits best, without markup."},
    )


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
            "description": "Cosine of the meanings, -1 to 1; null if it is not among the nearest. Compare it "
            "within one answer only: results of a text without meaning have high ones too."
        },
    )
    finding = Nested(
        ListedFindingOut, required=True, allow_none=True, metadata={"description": "If it is one."}
    )
    document = Nested(
        FoundDocumentOut, required=True, allow_none=True, metadata={"description": "If it is one."}
    )
    lesson = Nested(
        FoundLessonOut, required=True, allow_none=True, metadata={"description": "If it is one."}
    )


class SearchOut(Schema):
    items = List(Nested(HitOut), required=True, metadata={"description": "Best first."})
    meaning = String(
        required=True,
        validate=OneOf(list(Meaning)),
        metadata={
            "description": "Which findings and lessons were searched by meaning. all: every one. part: some "
            "have no vector yet, or others share more than can be searched, of which the newest were. "
            "none: words only."
        },
    )
    index_service = String(
        required=True,
        validate=OneOf(list(IndexService)),
        metadata={
            "description": "Whether the index service of INDEXER_URL took part. unavailable: the local index "
            "answered alone. off: there is none, or neither documents nor lessons were searched."
        },
    )
    words_occur = Boolean(
        required=True,
        allow_none=True,
        metadata={
            "description": "Whether anything searched has one of the words. false: nothing has, and `items` "
            "are only the nearest in meaning, which may have nothing to do with the question, or what the "
            "index service found. null for findings similar to one."
        },
    )
