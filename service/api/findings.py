"""/api/v1/scans/{id}/findings: the findings of a scan. /api/v1/findings: those of all scans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.queries.findings import FindingFilter
from db.tables import Feedback, Finding, Scope, Verdict
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.cached_results import cached_result, keep_if_own
from service.api.http.key_scopes import key_scope
from service.api.http.listed_findings import listed_finding
from service.api.http.pagination import (
    Listing,
    decode_numbered,
    encode_numbered,
    listing,
    split_page,
)
from service.api.http.response_headers import etagged
from service.api.schemas.findings import (
    OPEN,
    AllFindingsOut,
    AllFindingsQuery,
    FindingListOut,
    FindingListQuery,
)
from service.domain.access import in_scope
from service.domain.reviews import reviews
from service.domain.search.listing import list_findings as list_all
from service.domain.search.listing import viewer_of
from service.nlp.taxonomy import Taxonomy

blueprint = APIBlueprint("findings", __name__, url_prefix="/api/v1", tag="Scans")


@blueprint.get("/scans/<uuid:scan_id>/findings")
@etagged()
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@cached_result
@blueprint.input(FindingListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(FindingListOut)
@blueprint.doc(
    summary="List the findings of a scan in document order",
    operation_id="get_scans_list_findings",
)
def list_findings(scan_id: UUID, query: dict[str, int]) -> Listing:
    per_page = query["per_page"]
    scan, pairs = services().transactions.read(
        reviews.list_findings,
        current_user(),
        scan_id,
        after_n=query["after"],
        limit=per_page + 1,
    )
    services().foreign_reads.store(current_user().id, scan.user_id, "scan", scan_id)
    keep_if_own(scan.user_id)
    page, last = split_page(pairs, per_page)
    taxonomy = services().taxonomy
    thresholds = services().thresholds(
        scan.sensitivity, model=(scan.model_name, scan.model_version)
    )
    items = [_finding_fields(*pair, taxonomy, thresholds) for pair in page]
    return listing(items, "after", last[0].n if last else None, coverage=scan.coverage)


@blueprint.get("/findings")
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(AllFindingsQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(AllFindingsOut)
@blueprint.doc(
    summary="List the findings of all scans of the caller, of their teams, or that they may review",
    description="Findings of the newest scan come first, each scan's in document order.",
    operation_id="get_findings",
)
def list_all_findings(query: dict[str, Any]) -> Listing:
    user, per_page = current_user(), query["per_page"]
    rows = services().transactions.read(
        list_all,
        in_scope(user, query["scope"]),
        viewer_of(user),
        _filters(query),
        taxonomy=services().taxonomy,
        limit=per_page + 1,
        after=decode_numbered(query["cursor"]) if "cursor" in query else None,
    )
    page, last = split_page(rows, per_page)
    services().foreign_reads.store_list(user.id, "findings", [row.scan for row in page])
    cursor = encode_numbered(last.scan.created_at, last.scan.id, last.finding.n) if last else None
    taxonomy = services().taxonomy
    return listing([listed_finding(row, taxonomy) for row in page], "cursor", cursor)


def _filters(query: dict[str, Any]) -> FindingFilter:
    verdict = query.get("verdict")
    return FindingFilter(
        category=query.get("category"),
        risk_type=query.get("risk_type"),
        words=tuple(query.get("q", "").split()),
        source=query.get("source"),
        created_from=query.get("created_from"),
        created_before=query.get("created_before"),
        document_id=query.get("document"),
        work_session_id=query.get("session"),
        team_id=query.get("team"),
        verdict=None if verdict in {None, OPEN} else Verdict(verdict),
        is_open=verdict == OPEN,
    )


def _finding_fields(
    finding: Finding, own: Feedback | None, taxonomy: Taxonomy, thresholds: Mapping[str, float]
) -> dict[str, Any]:
    return {
        "n": finding.n,
        "risk_type": finding.risk_type,
        "risk": taxonomy.risk_title(finding.risk_type, finding.foreign_risk),
        "category": finding.category,
        "category_title": taxonomy.category_title(finding.category, finding.foreign_category),
        "score": finding.score,
        "threshold": thresholds.get(finding.risk_type or ""),
        "context": finding.context,
        "start": finding.start,
        "end": finding.end,
        "located": finding.start is not None,
        "page": finding.page,
        "part": finding.part,
        "heading": finding.heading,
        "ocr": finding.ocr,
        "feedback": own,
    }
