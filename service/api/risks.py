"""/api/v1/risks: the risk register."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.queries.risks import RiskFilter
from db.tables import RiskNote, Scope
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.foreign_reads import record_scan_read
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, cursor_page
from service.api.http.preconditions import needs_if_match, version_etag
from service.api.schemas.fields import CursorQuery
from service.api.schemas.risks import (
    NoteIn,
    NoteListOut,
    NoteOut,
    RiskChangeIn,
    RiskDetailOut,
    RiskFilters,
    RiskHistoryOut,
    RiskIn,
    RiskListOut,
    RiskListQuery,
    RiskMatrixOut,
    RiskOwnersOut,
    RiskOwnersQuery,
    RisksInScanOut,
    SourceIn,
    SourceQuery,
    filter_values,
)
from service.domain.risks import findings, history, risks, views
from service.domain.risks.risks import NewRisk
from service.domain.risks.views import RiskDetail, RiskView, Signed
from service.domain.versions import Expected

blueprint = APIBlueprint("risks", __name__, url_prefix="/api/v1", tag="Risks")
Answer = tuple[dict[str, Any], dict[str, str]]


@blueprint.get("/risks")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(RiskListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(RiskListOut)
@blueprint.doc(
    summary="List the risks that the caller created or owns, and those of their teams, newest first"
)
def list_risks(query: dict[str, Any]) -> Listing:
    read, filters = services().transactions.read, _filters(query)
    user = current_user()
    return cursor_page(
        query, lambda **page: read(views.list_risks_with_verdicts, user, filters, **page)
    )


@blueprint.post("/risks")
@blueprint.auth_required(auth)
@key_scope(Scope.REVIEW)
@blueprint.input(RiskIn, location="json", arg_name="body")
@blueprint.output(RiskDetailOut, status_code=201)
@blueprint.doc(
    summary="Create a risk",
    description="`finding` names a confirmed finding that supports the risk. Its text is copied, so the "
    "risk outlives the scan.",
    responses=[404, 409],
)
def create_risk(body: dict[str, Any]) -> Answer:
    user, run, source = current_user(), services().transactions.run, body.pop("finding", None)
    new = NewRisk(**body)
    if source is None:
        return _added(run(views.with_detail(risks.create_risk), user, new))
    record_scan_read(source["scan_id"])
    create, taxonomy = views.with_detail(findings.create_from), services().taxonomy
    return _added(run(create, user, new, **source, taxonomy=taxonomy))


@blueprint.get("/risks/matrix")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(RiskFilters, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(RiskMatrixOut)
@blueprint.doc(summary="Count the risks of the list by likelihood and impact")
def get_matrix(query: dict[str, Any]) -> dict[str, Any]:
    read = services().transactions.read
    return {"n_risks": read(views.count_cells, current_user().id, _filters(query))}


@blueprint.get("/risks/owners")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(RiskOwnersQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(RiskOwnersOut)
@blueprint.doc(summary="List who may own a risk of a team: its members, or the caller alone")
def list_owners(query: dict[str, Any]) -> dict[str, Any]:
    read = services().transactions.read
    return {"items": read(views.possible_owners, current_user(), query.get("team"))}


@blueprint.get("/risks/<uuid:risk_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(RiskDetailOut)
@blueprint.doc(
    summary="Get a risk with the findings that support it",
)
def get_risk(risk_id: UUID) -> Answer:
    return _answer(services().transactions.read(views.get_detail, current_user(), risk_id))


@blueprint.patch("/risks/<uuid:risk_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.REVIEW)
@blueprint.input(RiskChangeIn, location="json", arg_name="body")
@blueprint.output(RiskDetailOut)
@blueprint.doc(
    summary="Change some fields of a risk",
    responses=[403],
)
@needs_if_match
def change_risk(risk_id: UUID, body: dict[str, Any], expected: Expected) -> Answer:
    run, change = services().transactions.run, views.with_detail(risks.change_risk)
    return _answer(run(change, current_user(), risk_id, body, expected=expected))


@blueprint.delete("/risks/<uuid:risk_id>")
@blueprint.auth_required(auth)
@key_scope(Scope.DELETE)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Delete a risk with its notes and history", responses=[403])
def delete_risk(risk_id: UUID) -> str:
    services().transactions.run(risks.delete_risk, current_user(), risk_id)
    return ""


@blueprint.get("/risks/<uuid:risk_id>/history")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(RiskHistoryOut)
@blueprint.doc(summary="List who changed which field of a risk, newest first")
def list_history(risk_id: UUID, query: dict[str, Any]) -> Listing:
    user_id, read = current_user().id, services().transactions.read
    return cursor_page(query, lambda **page: read(history.list_changes, user_id, risk_id, **page))


@blueprint.get("/risks/<uuid:risk_id>/notes")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(CursorQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(NoteListOut)
@blueprint.doc(summary="List the notes on a risk, newest first")
def list_notes(risk_id: UUID, query: dict[str, Any]) -> Listing:
    user_id, read = current_user().id, services().transactions.read
    return cursor_page(
        query, lambda **page: read(views.list_signed, user_id, risk_id, RiskNote, **page)
    )


@blueprint.post("/risks/<uuid:risk_id>/notes")
@blueprint.auth_required(auth)
@key_scope(Scope.REVIEW)
@blueprint.input(NoteIn, location="json", arg_name="body")
@blueprint.output(NoteOut, status_code=201)
@blueprint.doc(summary="Add a note to a risk; notes stay as they are")
def add_note(risk_id: UUID, body: dict[str, str]) -> tuple[Signed, dict[str, str]]:
    user = current_user()
    note = services().transactions.run(risks.add_note, user, risk_id, body["text"])
    return Signed(note, user.email), {"Location": f"/api/v1/risks/{risk_id}/notes"}


@blueprint.post("/risks/<uuid:risk_id>/findings")
@blueprint.auth_required(auth)
@key_scope(Scope.REVIEW)
@blueprint.input(SourceIn, location="json", arg_name="body")
@blueprint.output(RiskDetailOut, status_code=201)
@blueprint.doc(summary="Add a confirmed finding to a risk", responses=[403, 409])
def add_finding(risk_id: UUID, body: dict[str, Any]) -> Answer:
    record_scan_read(body["scan_id"])
    run, add = services().transactions.run, views.with_detail(findings.add_finding)
    return _added(run(add, current_user(), risk_id, **body, taxonomy=services().taxonomy))


@blueprint.delete("/risks/<uuid:risk_id>/findings")
@blueprint.auth_required(auth)
@key_scope(Scope.REVIEW)
@blueprint.input(SourceQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Remove a finding from a risk", responses=[403])
def remove_finding(risk_id: UUID, query: dict[str, Any]) -> str:
    run = services().transactions.run
    run(findings.remove_finding, current_user(), risk_id, **query)
    return ""


@blueprint.get("/scans/<uuid:scan_id>/risks")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.output(RisksInScanOut)
@blueprint.doc(
    summary="List the risks that findings of a scan support",
    description="Includes risks that the same finding in another scan of the document supports.",
)
def list_scan_risks(scan_id: UUID) -> dict[str, Any]:
    record_scan_read(scan_id)
    rows = services().transactions.read(findings.risks_in_scan, current_user(), scan_id)
    names = ("title", "state")
    items = [
        {"n": n, "risk_id": risk.id, **{name: getattr(risk, name) for name in names}}
        for n, risk in rows
    ]
    return {"items": items}


def _filters(query: dict[str, Any]) -> RiskFilter:
    return RiskFilter(**filter_values(query), overdue_on=views.today())


def _added(detail: RiskDetail) -> Answer:
    shown, etag = _answer(detail)
    return shown, {**etag, "Location": f"/api/v1/risks/{detail.view.id}"}


def _answer(detail: RiskDetail) -> Answer:
    return _detail_fields(detail), version_etag(detail.view.risk.version)


def _detail_fields(detail: RiskDetail) -> dict[str, Any]:
    view = detail.view
    names = [*RiskView.__dataclass_fields__, "id", "is_overdue", "created_at"]
    copied = ("scan_id", "n", "context", "risk", "category", "score", "part", "page", "scanned_at")
    return {
        **{name: getattr(view, name) for name in names},
        "may_change": detail.may_change,
        "findings": [
            {
                **{name: getattr(one.row, name) for name in copied},
                "document": one.row.filename,
                "last_seen_at": one.last_seen_at,
                "seen_in_newest": one.seen_in_newest,
                "verdict": one.standing,
                "seen_in": [
                    {"scan_id": scan_id, "n": n, "scanned_at": at} for scan_id, n, at in one.seen_in
                ],
            }
            for one in detail.findings
        ],
    }
