"""A finding beside those of other scans, as lists and search return it."""

from __future__ import annotations

from typing import Any

from service.domain.search.listing import ListedFinding
from service.nlp.taxonomy import Taxonomy


def listed_finding(row: ListedFinding, taxonomy: Taxonomy) -> dict[str, Any]:
    """Return the fields of ListedFindingOut."""
    finding, scan = row.finding, row.scan
    return {
        "scan_id": scan.id,
        "finding": finding.n,
        "document_id": scan.document_id,
        "user_id": scan.user_id,
        "filename": scan.filename,
        "created_at": scan.created_at,
        "source": scan.source,
        "risk_type": finding.risk_type,
        "risk": taxonomy.risk_title(finding.risk_type, finding.foreign_risk),
        "category": finding.category,
        "category_title": taxonomy.category_title(finding.category, finding.foreign_category),
        "score": finding.score,
        "context": finding.context,
        "page": finding.page,
        "part": finding.part,
        "verdict": row.verdict,
    }
