"""Findings that people confirmed or relabelled, with the risk types and categories that this leaves them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from db.tables import Feedback, Finding
from service.domain.verdicts import current_verdict
from service.nlp.taxonomy import Taxonomy

Judged = tuple[Finding, list[Feedback]]
"""A finding, and all current verdicts on it."""


@dataclass(frozen=True, slots=True)
class ConfirmedFinding:
    """A finding that states a risk by the verdicts; `categories` are those of `risk_types`."""

    scan_id: UUID
    n: int
    risk_types: tuple[str, ...]
    categories: tuple[str, ...]


def by_finding(rows: Iterable[tuple[Feedback, Finding]]) -> list[Judged]:
    """Group verdicts by their finding, in the order of the first ones."""
    judged: dict[tuple[UUID, int], Judged] = {}
    for row, finding in rows:
        judged.setdefault((finding.scan_id, finding.n), (finding, []))[1].append(row)
    return [*judged.values()]


def confirmed(judged: Judged, taxonomy: Taxonomy) -> ConfirmedFinding | None:
    """Return a finding with what its verdicts leave; None if it is no risk, or disputed.

    A type that the taxonomy lacks has the finding's own category.
    """
    finding, rows = judged
    verdict = current_verdict(rows)
    if verdict is None or not verdict.is_risk:
        return None
    own = [finding.category] if finding.category else []
    found: dict[str, None] = {}
    for risk_type in verdict.risk_types:
        is_known = risk_type in taxonomy.columns
        found |= dict.fromkeys([taxonomy.category_of(risk_type)] if is_known else own)
    categories = tuple(found) if verdict.risk_types else tuple(own)
    return ConfirmedFinding(finding.scan_id, finding.n, verdict.risk_types, categories)


def count_categories(findings: Iterable[ConfirmedFinding]) -> dict[str, int]:
    """Return the number of findings of each category; one of several categories counts in each."""
    counts: dict[str, int] = defaultdict(int)
    for finding in findings:
        for category in finding.categories:
            counts[category] += 1
    return dict(counts)
