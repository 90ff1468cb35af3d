"""/api/v1/scans: stored scans, newest first, and their findings."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.queries.scans import ScanFilter, Total
from db.tables import Feedback, Finding, Scan
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.pagination import decode_cursor, encode_cursor, link_to_next
from service.api.http.response_headers import etagged
from service.api.schemas.feedback import FindingListOut, FindingListQuery
from service.api.schemas.scans import ScanDetailOut, ScanListOut, ScanListQuery
from service.domain.reviews.reviews import only_owner
from service.nlp.taxonomy import category_title, risk_title

blueprint = APIBlueprint("scans", __name__, url_prefix="/api/v1/scans", tag="Scans")
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


@blueprint.get("")
@blueprint.auth_required(auth)
@blueprint.input(ScanListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(ScanListOut)
@blueprint.doc(summary="List the caller's scans, or those that the caller may review, newest first")
def list_scans(query: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    chosen = ScanFilter(**{name: query.get(name) for name in _FILTERS})
    user = current_user()
    found = services().scans.list(
        user.id if query["scope"] == "own" else only_owner(user),
        chosen,
        per_page=query["per_page"],
        after=decode_cursor(query["cursor"]) if "cursor" in query else None,
        page=query.get("page", 1),
    )
    next_cursor = encode_cursor(*found.next_after) if found.next_after else None
    answer = {
        "items": found.scans,
        "page": None if "cursor" in query else query.get("page", 1),
        "per_page": query["per_page"],
        "total": found.total.n if found.total else None,
        "total_relation": _relation(found.total),
        "next_cursor": next_cursor,
    }
    return answer, link_to_next(cursor=next_cursor)


@blueprint.get("/<uuid:scan_id>")
@etagged()
@blueprint.auth_required(auth)
@blueprint.output(ScanDetailOut)
@blueprint.doc(summary="One scan: the caller's own, or anyone's for reviewers", responses=[304])
def get_scan(scan_id: UUID) -> Scan:
    return services().scans.get(only_owner(current_user()), scan_id)


@blueprint.delete("/<uuid:scan_id>")
@blueprint.auth_required(auth)
@blueprint.output({}, status_code=204)
@blueprint.doc(summary="Delete a scan and its findings")
def delete_scan(scan_id: UUID) -> str:
    services().scans.delete(current_user().id, scan_id)
    return ""


@blueprint.get("/<uuid:scan_id>/findings")
@etagged()
@blueprint.auth_required(auth)
@blueprint.input(FindingListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(FindingListOut)
@blueprint.doc(
    summary="The findings of a scan that the caller may open, in document order",
    responses=[304],
)
def list_findings(scan_id: UUID, query: dict[str, int]) -> tuple[dict[str, Any], dict[str, str]]:
    after, per_page = query["after"], query["per_page"]
    scan, found = services().reviews.findings(
        current_user(), scan_id, after_n=after, limit=per_page + 1
    )
    shown = found[:per_page]
    next_after = shown[-1][0].n if len(found) > per_page else None
    answer = {
        "items": [_shown(*pair) for pair in shown],
        "next_after": next_after,
        "coverage": scan.coverage,
    }
    return answer, link_to_next(after=next_after)


def _relation(total: Total | None) -> str | None:
    if total is None:
        return None
    return "eq" if total.is_exact else "gte"


def _shown(finding: Finding, own: Feedback | None) -> dict[str, Any]:
    return {
        "n": finding.n,
        "risk_type": finding.risk_type,
        "risk": risk_title(finding.risk_type, finding.foreign_risk),
        "category": finding.category,
        "category_title": category_title(finding.category, finding.foreign_category),
        "score": finding.score,
        "context": finding.context,
        "start": finding.start,
        "end": finding.end,
        "located": finding.start is not None,
        "page": finding.page,
        "feedback": own,
    }
