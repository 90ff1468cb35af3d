"""/api/v1/scan creates a scan; /api/v1/scans lists, returns and deletes stored scans."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import Response
from marshmallow import RAISE

from db.queries.scans import ScanFilter, Total
from db.tables import Batch, File, Scope
from service.api.current import services
from service.api.http.authentication import auth, current_preferences, current_user
from service.api.http.cached_results import cached_result, keep_if_own
from service.api.http.deferred import accepted, limit_immediate_documents, prefers_async
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import (
    Listing,
    encode_cursor,
    listing,
    position,
    split_page,
)
from service.api.http.response_headers import Headers, etagged, scan_headers
from service.api.http.uploads import (
    batch_options,
    deferred_document,
    scan_options,
    submission,
    upload,
)
from service.api.schemas.scans import (
    ScanChangesOut,
    ScanChangesQuery,
    ScanDetailOut,
    ScanHeaders,
    ScanListOut,
    ScanListQuery,
    ScanOut,
    StoredScanIn,
)
from service.domain.access import in_scope, readable
from service.domain.scans import scans
from service.domain.scans.changes import compare
from service.domain.scans.scans import StoredScan

blueprint = APIBlueprint("scans", __name__, url_prefix="/api/v1", tag="Scans")
_FILTERS = (
    "source",
    "category",
    "risk_type",
    "foreign_category",
    "foreign_risk",
    "q",
    "created_from",
    "created_before",
)
_CHANGES = (
    "scan",
    "since",
    "document_changed",
    "model_changed",
    "sensitivity_changed",
    "n_new",
    "n_same",
    "n_gone",
)


@blueprint.post("/scan")
@blueprint.auth_required(auth)
@key_scope(Scope.SCAN)
@blueprint.input(ScanHeaders, location="headers", arg_name="headers")
@blueprint.input(StoredScanIn, location="json_or_form", arg_name="body")
@blueprint.output(ScanOut, status_code=201)
@blueprint.doc(
    summary="Scan a document and store the result",
    description="With `Prefer: respond-async` the batch has this one document, and its item names the scan.",
    responses=[401, 404, 409, 413, 415, 429, 501, 502],
    operation_id="post_scan_create",
)
@limit_immediate_documents
def create_scan(
    headers: dict[str, str], body: dict[str, Any]
) -> tuple[StoredScan, Headers] | Response:
    user_id, key = current_user().id, headers.get("idempotency_key")
    if prefers_async():
        return accepted(_defer(user_id, body, key))
    if file := _stored_file(user_id, body):
        stored = services().file_scans.scan(
            file, scan_options(body), key=key, version_of=body.get("document")
        )
    else:
        stored = services().scans.create(
            user_id,
            submission(body),
            key=key,
            version_of=body.get("document"),
            preferences=current_preferences(),
        )
    return stored, {**_link_to_file(file), **scan_headers(stored.scan)}


@blueprint.get("/scans")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@cached_result
@blueprint.input(ScanListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(ScanListOut)
@blueprint.doc(
    summary="List the caller's scans, or those that the caller may read or review, newest first"
)
def list_scans(query: dict[str, Any]) -> Listing:
    if query["scope"] == "own":
        keep_if_own(current_user().id)
    by_cursor = "cursor" in query
    page = services().transactions.read(
        scans.list_scans,
        in_scope(current_user(), query["scope"]),
        ScanFilter(**{name: query.get(name) for name in _FILTERS}),
        per_page=query["per_page"],
        taxonomy=services().taxonomy,
        after=position(query),
        page=query.get("page", 1),
    )
    return listing(
        page.scans,
        "cursor",
        encode_cursor(*page.next_after) if page.next_after else None,
        page=None if by_cursor else query.get("page", 1),
        per_page=query["per_page"],
        **_total_fields(page.total),
    )


@blueprint.get("/scans/<uuid:scan_id>")
@etagged()
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@cached_result
@blueprint.output(ScanDetailOut)
@blueprint.doc(
    summary="Get a scan of the caller's or of their teams; reviewers may get anyone's",
)
def get_scan(scan_id: UUID) -> StoredScan:
    user = current_user()
    stored = services().transactions.read(
        scans.get_scan, readable(user), scan_id, taxonomy=services().taxonomy
    )
    services().foreign_reads.store(user.id, stored.scan.user_id, "scan", scan_id)
    keep_if_own(stored.scan.user_id)
    return stored


@blueprint.delete("/scans/<uuid:scan_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.DELETE)
@blueprint.output({}, status_code=204)
@blueprint.doc(
    summary="Delete a scan with its findings and feedback, and its document if no other scan has it"
)
def delete_scan(scan_id: UUID) -> str:
    user_id = current_user().id
    deleted = services().transactions.run(scans.delete_scan, user_id, scan_id)
    services().originals.discard(user_id, deleted)
    return ""


@blueprint.get("/scans/<uuid:scan_id>/changes")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(ScanChangesQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(ScanChangesOut)
@blueprint.doc(
    summary="Compare a scan with an earlier one: findings that are new, the same or gone"
)
def get_changes(scan_id: UUID, query: dict[str, Any]) -> Listing:
    per_page = query["per_page"]
    changes = services().transactions.read(
        compare,
        readable(current_user()),
        scan_id,
        since_id=query.get("since"),
        after_n=query["after"],
        limit=per_page + 1,
        segmenter=services().pipeline.segmenter,
    )
    for scan in filter(None, (changes.scan, changes.since)):
        services().foreign_reads.store(current_user().id, scan.user_id, "scan", scan.id)
    items, last = split_page(changes.findings, per_page)
    fields = {name: getattr(changes, name) for name in _CHANGES}
    return listing(items, "after", last.n if last else None, **fields)


def _defer(user_id: UUID, body: dict[str, Any], key: str | None) -> Batch:
    """Let the document wait for a worker, in a batch of its own."""
    intake, version_of = services().batch_intake, body.get("document")
    if body.get("force_llm"):
        services().analyzers.require_llm()
    if file := _stored_file(user_id, body):
        options = batch_options(body, file.name)
        return intake.of_files(user_id, options, [file], key=key, version_of=version_of)
    item = deferred_document(body)
    options = batch_options(body, item.name or "Pasted text")
    return intake.receive(user_id, options, [item], key=key)


def _stored_file(user_id: UUID, body: dict[str, Any]) -> File | None:
    """Return the stored file to scan, storing an upload with `session` first; None if no file is stored."""
    files = services().files
    if "file_id" in body:
        return files.get(user_id, body["file_id"])
    if "session" in body:
        return files.add(user_id, body["session"], upload(body["file"]), again=False)
    return None


def _link_to_file(file: File | None) -> Headers:
    if file is None:
        return {}
    return {"Link": f'</api/v1/sessions/{file.work_session_id}/files/{file.id}>; rel="enclosure"'}


def _total_fields(total: Total | None) -> dict[str, object]:
    if total is None:
        return {"total": None, "total_relation": None}
    return {"total": total.n, "total_relation": "eq" if total.is_exact else "gte"}
