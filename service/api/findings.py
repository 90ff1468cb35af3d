"""/api/v1/scans/{id}/findings: the findings of a scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from apiflask import APIBlueprint
from marshmallow import RAISE

from db.tables import Feedback, Finding, Scope
from service.api.current import services
from service.api.http.authentication import auth, current_user
from service.api.http.key_scopes import key_scope
from service.api.http.pagination import Listing, listing, split_page
from service.api.http.response_headers import etagged
from service.api.schemas.findings import FindingListOut, FindingListQuery
from service.domain.reviews import reviews
from service.nlp.taxonomy import Taxonomy

blueprint = APIBlueprint("findings", __name__, url_prefix="/api/v1/scans", tag="Scans")


@blueprint.get("/<uuid:scan_id>/findings")
@etagged()
@blueprint.auth_required(auth)
@key_scope(Scope.READ)
@blueprint.input(FindingListQuery, location="query", arg_name="query", unknown=RAISE)
@blueprint.output(FindingListOut)
@blueprint.doc(
    summary="List the findings of a scan in document order",
    responses=[304],
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
    page, last = split_page(pairs, per_page)
    taxonomy = services().taxonomy
    thresholds = services().thresholds(
        scan.sensitivity, model=(scan.model_name, scan.model_version)
    )
    items = [_finding_fields(*pair, taxonomy, thresholds) for pair in page]
    return listing(items, "after", last[0].n if last else None, coverage=scan.coverage)


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
