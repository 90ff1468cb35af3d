"""/api/v1/search: findings, documents and lessons by words and meaning; and findings similar to one."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.tables import Scope
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.http.listed_findings import listed_finding
from service.api.schemas.search import SearchOut, SearchQuery, SimilarQuery
from service.domain.access import in_scope, visible_courses
from service.domain.search.listing import viewer_of
from service.domain.search.terms import Kind
from service.domain.search.values import Answer, FoundDocument, Hit, Question, Reader

blueprint = APIBlueprint("search", __name__, url_prefix="/api/v1", tag="Search")


@blueprint.get("/search")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(SearchQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(SearchOut)
@blueprint.doc(
    summary="Find findings, documents and lessons by words and by meaning",
    description="Reciprocal rank fusion merges the ranked lists. A text that occurs nowhere still gets "
    "results: those nearest in meaning, with `words_occur` false. A new scan or lesson is found after some "
    "seconds. Lessons are those of courses that the caller may see.",
)
def get_search(query: dict[str, Any]) -> dict[str, Any]:
    question = Question(
        query["q"], frozenset(map(Kind, query["kind"])), query["limit"], query.get("category")
    )
    answer = services().search.search(_reader(query), question, taxonomy=services().taxonomy)
    return _shown(answer, "search")


@blueprint.get("/scans/<uuid:scan_id>/findings/<int:n>/similar")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(SimilarQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(SearchOut)
@blueprint.doc(summary="Find findings similar to one, nearest first")
def get_similar(scan_id: UUID, n: int, query: dict[str, Any]) -> dict[str, Any]:
    answer = services().search.similar(_reader(query), (scan_id, n), limit=query["limit"])
    return _shown(answer, "similar_findings")


def _reader(query: dict[str, Any]) -> Reader:
    user = current_user()
    reach, courses = in_scope(user, query["scope"]), visible_courses(user)
    return Reader(reach, viewer_of(user), courses, user.id)


def _shown(answer: Answer, list_name: str) -> dict[str, Any]:
    scans = [hit.finding.scan for hit in answer.hits if hit.finding is not None]
    services().foreign_reads.store_list(current_user().id, list_name, scans)
    return {
        "items": [_hit_fields(hit) for hit in answer.hits],
        "meaning": answer.meaning,
        "index_service": answer.index_service,
        "words_occur": answer.words_occur,
    }


def _hit_fields(hit: Hit) -> dict[str, Any]:
    finding = hit.finding and listed_finding(hit.finding, services().taxonomy)
    return {
        "kind": hit.kind,
        "score": hit.score,
        "ways": hit.ways,
        "similarity": hit.similarity,
        "finding": finding,
        "document": hit.document and _document_fields(hit.document),
        "lesson": hit.lesson,
    }


def _document_fields(found: FoundDocument) -> dict[str, Any]:
    document = found.document
    return {
        "id": document.id,
        "user_id": document.user_id,
        "name": document.name,
        "media_type": document.media_type,
        "created_at": document.created_at,
        "version": document.version,
        "newest_scan": found.newest_scan,
    }
