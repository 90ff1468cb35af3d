"""/api/v1/documents lists, returns and deletes stored documents, and reads their text."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response
from marshmallow import RAISE

from db import tables
from db.queries.reach import Reach
from db.tables import Scope
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.cached_results import cached_result, keep_if_own
from service.api.http.downloads import BYTES, download, ranged
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.http.rate_limits import limit_documents
from service.api.http.response_headers import Headers, etagged, scan_headers
from service.api.http.uploads import scan_options
from service.api.schemas.documents import (
    DocumentDeletionQuery,
    DocumentListOut,
    DocumentListQuery,
    DocumentOut,
    DocumentScoresOut,
    DocumentTextOut,
    DocumentTextQuery,
    ScanAgainIn,
    ScoresQuery,
    SentenceWordsOut,
    WordsQuery,
)
from service.api.schemas.scans import ScanHeaders, ScanOut
from service.domain.access import in_scope, readable
from service.domain.document_storage import missing_text_reason
from service.domain.documents import documents
from service.domain.documents.documents import TextRange, TextSelection
from service.domain.documents.scores import ExplainedSentence, ScoredRange
from service.domain.originals import original_sha256
from service.domain.scans.scans import StoredScan

blueprint = APIBlueprint("documents", __name__, url_prefix="/api/v1/documents", tag="Documents")
_COLUMNS = (
    "id",
    "user_id",
    "name",
    "media_type",
    "sha256",
    "size_bytes",
    "n_characters",
    "n_pages",
    "language",
    "text_stored",
    "version",
    "n_scans",
    "created_at",
)


@blueprint.get("")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@cached_result
@blueprint.input(DocumentListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(DocumentListOut)
@blueprint.doc(
    summary="List the caller's documents, or those that the caller may read or review, newest first"
)
def list_documents(query: dict[str, Any]) -> Listing:
    if query["scope"] == "own":
        keep_if_own(current_user().id)
    read = services().transactions.read
    reach = in_scope(current_user(), query["scope"])
    newest_only = query["versions"] == "newest"
    return cursor_page(
        query,
        lambda **page: read(documents.list_documents, reach, newest_only=newest_only, **page),
        show=_summary,
    )


@blueprint.get("/<uuid:document_id>")
@etagged()
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(DocumentOut)
@blueprint.doc(
    summary="Get a document of the caller's or of their teams; reviewers may get anyone's",
)
def get_document(document_id: UUID) -> dict[str, Any]:
    reach = _reach(document_id)
    detail = services().transactions.read(documents.get_document, reach, document_id)
    return {
        **_summary(detail.document),
        "pages": detail.pages,
        "scans": [_scan(scan) for scan in detail.scans],
        "versions": [
            _version(version, detail.version_scans[version.id]) for version in detail.versions
        ],
    }


@blueprint.get("/<uuid:document_id>/text")
@etagged()
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(DocumentTextQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(DocumentTextOut)
@blueprint.doc(summary="Read the text of a document by page or by offsets")
def get_text(document_id: UUID, query: dict[str, Any]) -> TextRange:
    reach = _reach(document_id)
    return services().transactions.read(
        documents.read_text, reach, document_id, TextSelection(**query)
    )


@blueprint.get("/<uuid:document_id>/scores")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(ScoresQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(DocumentScoresOut)
@blueprint.doc(
    summary="Score sentences of a stored text with the serving model, reported or not",
    description="If the model lets sentences leave early, these scores may differ slightly from those "
    "that the scan stored, and a few `is_reported` from what it reported.",
    responses=[501, 502],
)
def get_scores(document_id: UUID, query: dict[str, Any]) -> ScoredRange:
    reach = _reach(document_id)
    return services().document_scores.score(reach, document_id, **query)


@blueprint.get("/<uuid:document_id>/words")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(WordsQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(SentenceWordsOut)
@blueprint.doc(
    summary="Explain a sentence's score for a risk type by its words", responses=[501, 502]
)
def get_words(document_id: UUID, query: dict[str, Any]) -> ExplainedSentence:
    reach = _reach(document_id)
    return services().document_scores.explain(reach, document_id, **query)


@blueprint.get("/<uuid:document_id>/original")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.doc(
    summary="Download the original of a document, or the part that Range names", responses=BYTES
)
@ranged
def get_original(document_id: UUID) -> Response:
    reach = _reach(document_id)
    document = services().transactions.read(documents.find_document, reach, document_id)
    return download(
        lambda start, end: services().originals.open(document, start=start, end=end),
        size_bytes=document.size_bytes,
        sha256=original_sha256(document),
        name=document.name or "document",
        media_type=document.media_type,
    )


@blueprint.post("/<uuid:document_id>/scan")
@blueprint.auth_required(auth)
@key_scope(Scope.SCAN)
@blueprint.input(ScanHeaders, location="headers", arg_name="headers")
@blueprint.input(ScanAgainIn, location="json", arg_name="body")
@blueprint.output(ScanOut, status_code=201)
@blueprint.doc(
    summary="Scan the stored text of a document again, with the serving model",
    responses=[401, 409, 429, 501, 502],
)
@limit_documents
def scan_again(
    document_id: UUID, headers: dict[str, str], body: dict[str, Any]
) -> tuple[StoredScan, Headers]:
    stored = services().scans.scan_again(
        current_user().id,
        document_id,
        scan_options(body),
        key=headers.get("idempotency_key"),
    )
    return stored, scan_headers(stored.scan)


@blueprint.delete("/<uuid:document_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.DELETE)
@blueprint.input(DocumentDeletionQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Delete a document with its text, scans, findings and feedback")
def delete_document(document_id: UUID, query: dict[str, str]) -> str:
    all_versions = query["versions"] == "all"
    user_id = current_user().id
    deleted = services().transactions.run(
        documents.delete_document, user_id, document_id, all_versions=all_versions
    )
    services().originals.discard(user_id, deleted)
    return ""


def _reach(document_id: UUID) -> Reach:
    """Return the caller's reach, after recording the read of another's document."""
    user, parts = current_user(), services()
    reach = readable(user)
    document = parts.transactions.read(documents.find_document, reach, document_id)
    parts.foreign_reads.store(user.id, document.user_id, "document", document_id)
    return reach


def _summary(document: tables.Document) -> dict[str, Any]:
    columns = {name: getattr(document, name) for name in _COLUMNS}
    has_original = document.original_sha256 is not None
    return {
        **columns,
        "text_reason": missing_text_reason(document),
        "original_stored": has_original,
    }


def _version(version: tables.Document, newest_scan: tables.Scan) -> dict[str, Any]:
    return {
        "id": version.id,
        "version": version.version,
        "name": version.name,
        "n_scans": version.n_scans,
        "newest_scan": _scan(newest_scan),
        "created_at": version.created_at,
    }


def _scan(scan: tables.Scan) -> dict[str, Any]:
    return {
        "id": scan.id,
        "created_at": scan.created_at,
        "model": f"{scan.model_name}/{scan.model_version}",
        "sensitivity": scan.sensitivity,
        "n_findings": scan.n_findings,
    }
