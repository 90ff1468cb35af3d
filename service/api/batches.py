"""/api/v1/batches: many documents that workers scan in the background."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from flask import request
from marshmallow import RAISE

from db.queries.batches import list_batches as list_page
from db.queries.batches import list_items as item_page
from db.queries.reach import Reach, own
from db.tables import Batch, BatchItem, Scope
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page, listing, split_page
from service.api.http.problem_document import problem
from service.api.http.streamed_form import FormFile, FormFiles
from service.api.http.uploads import base_name, batch_options, upload
from service.api.schemas.batches import (
    BatchDetailOut,
    BatchIn,
    BatchItemListOut,
    BatchItemsQuery,
    BatchListOut,
    BatchOut,
)
from service.api.schemas.fields import CursorQuery
from service.api.schemas.scans import ScanHeaders
from service.domain.access import readable
from service.domain.batch_intake import NewItem
from service.domain.batches import batches
from service.domain.files import work_sessions
from service.domain.files.files import choose_files

blueprint = APIBlueprint("batches", __name__, url_prefix="/api/v1/batches", tag="Batches")


@blueprint.post("")
@blueprint.auth_required(auth)
@key_scope(Scope.SCAN)
@blueprint.input(ScanHeaders, location="headers", arg_name="headers")
@blueprint.input(BatchIn, location="form", arg_name="body")
@blueprint.output(BatchOut, status_code=202)
@blueprint.doc(
    summary="Send many documents, to be scanned in the background",
    description="Workers scan one document after the other; GET the batch to see how far they are. Each "
    "scanned document becomes a scan of its own, and counts against the quota of scans when it runs.",
    responses=[404, 409, 413, 415, 501],
)
def create_batch(
    headers: dict[str, str], body: dict[str, Any]
) -> tuple[Batch, int, dict[str, str]]:
    user_id, key = current_user().id, headers.get("idempotency_key")
    if body.get("force_llm"):
        services().analyzers.require_llm()
    if "session" in body:
        batch = _of_session(user_id, body, key)
    else:
        files: FormFiles = body.get("file") or body["archive"]
        first, items = _with_first(files)
        options = batch_options(body, body.get("name", first))
        batch = services().batch_intake.receive(user_id, options, items, key=key)
    return batch, 202, {"Location": f"/api/v1/batches/{batch.id}"}


@blueprint.get("")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(BatchListOut)
@blueprint.doc(summary="List the caller's batches, newest first")
def list_batches(query: dict[str, Any]) -> Listing:
    reach, read = own(current_user().id), services().transactions.read
    return cursor_page(query, lambda **page: read(list_page, reach, **page))


@blueprint.get("/<uuid:batch_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(BatchDetailOut)
@blueprint.doc(summary="Get a batch with its progress")
def get_batch(batch_id: UUID) -> dict[str, Any]:
    progress = services().transactions.read(batches.measure, _reach(batch_id), batch_id)
    return {
        **{name: getattr(progress.batch, name) for name in BatchOut().fields},
        "items_per_s": progress.items_per_s,
        "seconds_left": progress.seconds_left,
    }


@blueprint.get("/<uuid:batch_id>/items")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(BatchItemsQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(BatchItemListOut)
@blueprint.doc(summary="List the documents of a batch with their scans and errors")
def list_items(batch_id: UUID, query: dict[str, Any]) -> Listing:
    _reach(batch_id)
    rows, last = split_page(
        services().transactions.read(
            item_page,
            batch_id,
            state=query.get("state"),
            with_warnings=query["warnings"],
            after_n=query.get("after"),
            limit=query["per_page"] + 1,
        ),
        query["per_page"],
    )
    return listing([_item(*row) for row in rows], "after", last[0].position if last else None)


@blueprint.post("/<uuid:batch_id>/retry")
@blueprint.auth_required(auth)
@key_scope(Scope.SCAN)
@blueprint.output(BatchOut, status_code=202)
@blueprint.doc(summary="Scan the failed documents of a batch again", responses=[409])
def retry_batch(batch_id: UUID) -> Batch:
    user_id, run = current_user().id, services().transactions.run
    if n_items := run(batches.retry, user_id, batch_id):
        services().batch_signal.send(n_items)
    return services().transactions.read(batches.find, own(user_id), batch_id)


@blueprint.delete("/<uuid:batch_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.DELETE)
@blueprint.output({}, status_code=204)
@blueprint.doc(
    summary="Cancel a batch, or delete one that has ended",
    description="Documents that wait or run are cancelled, and the batch stays in the list. A batch that has "
    "ended is deleted. Scans stay in both cases.",
)
def end_batch(batch_id: UUID) -> str:
    if services().batch_removal.end(current_user().id, batch_id):
        services().batch_clearing.wake()
    return ""


def _reach(batch_id: UUID) -> Reach:
    """Return the caller's reach, after recording the read of another's batch."""
    user, parts = current_user(), services()
    reach = readable(user)
    batch = parts.transactions.read(batches.find, reach, batch_id)
    parts.foreign_reads.store(user.id, batch.user_id, "batch", batch_id)
    return reach


def _of_session(user_id: UUID, body: dict[str, Any], key: str | None) -> Batch:
    read, session_id = services().transactions.read, body["session"]
    files = read(choose_files, user_id, session_id, body.get("file_ids"))
    session = read(work_sessions.require, own(user_id), session_id)
    options = batch_options(body, body.get("name", session.name))
    return services().batch_intake.of_files(user_id, options, files, key=key)


def _with_first(files: FormFiles) -> tuple[str, Iterator[NewItem]]:
    """Return the name of the first file, and the documents of all."""
    unread = iter(files)
    first = next(unread, None)
    name = base_name(first.file) if first else None

    def items() -> Iterator[NewItem]:
        if first is not None:
            yield from _documents(first)
        for file in unread:
            yield from _documents(file)

    return name or "Documents", items()


def _documents(sent: FormFile) -> Iterator[NewItem]:
    """Yield the document of a part, or those of an archive."""
    if sent.part == "archive":
        yield from services().batch_intake.unpack(sent.file.stream)
        return
    document = upload(sent.file)
    yield NewItem(document.name, document.media_type, document.stream)


def _item(
    item: BatchItem, n_findings: int | None, warnings: list[dict[str, str]] | None
) -> dict[str, Any]:
    columns = ("position", "name", "media_type", "size_bytes", "state", "attempts", "finished_at")
    code, detail = item.error_code, item.error_detail or ""
    return {
        **{name: getattr(item, name) for name in columns},
        "scan_id": None if n_findings is None else item.scan_id,
        "n_findings": n_findings,
        "warnings": warnings or [],
        "problem": problem(code, detail, instance=request.path) if code else None,
    }
