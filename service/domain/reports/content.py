"""What a report of any format has: a summary, then scan after scan, each with its findings in pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from db.tables import Feedback, Finding, Scan
from service.domain.verdicts import CurrentVerdict, Standing, current_verdict
from service.nlp.taxonomy import Taxonomy

PASTED = "Pasted text"
"""The name of a document without one."""
NOT_JUDGED = "not reviewed"
_EACH_NAMED = {"parts_not_read", "pages_not_read"}
"""Warnings about parts and pages, each of which the coverage names, too."""


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding with the titles of its labels and the verdict on it that applies now."""

    finding: Finding
    risk: str
    category: str
    verdict: CurrentVerdict | None
    verdict_risks: tuple[str, ...]
    """Titles of the risk types that the verdict leaves."""

    @property
    def standing(self) -> str:
        """The verdict in words."""
        if self.verdict is None:
            return NOT_JUDGED
        if self.verdict.standing == Standing.RELABELLED:
            return f"relabelled: {', '.join(self.verdict_risks)}"
        return self.verdict.standing

    @property
    def place(self) -> str:
        """Part and page in words; empty if the document has neither."""
        page = None if self.finding.page is None else f"page {self.finding.page}"
        return ", ".join(filter(None, (self.finding.part, page)))

    @property
    def percent(self) -> str:
        """The score in percent; empty for an LLM's finding, which has none."""
        score = self.finding.score
        return "" if score is None else f"{score:.0%}"


@dataclass(frozen=True, slots=True)
class ReportedScan:
    """A scan and its findings in document order, which are read as they are iterated."""

    scan: Scan
    pages: Iterator[Sequence[FindingRow]]

    @property
    def name(self) -> str:
        """The document's name."""
        return self.scan.filename or PASTED

    @property
    def model(self) -> str:
        """Name and version of what analyzed it."""
        return " ".join(filter(None, (self.scan.model_name, self.scan.model_version)))

    @property
    def coverage(self) -> Mapping[str, Any]:
        """How much of the document was read."""
        return self.scan.coverage

    @property
    def warnings(self) -> list[Mapping[str, str]]:
        """Reasons why the result may be less reliable, each with `code` and `message`."""
        return [*self.coverage.get("warnings", [])]

    @property
    def problems(self) -> list[str]:
        """All that limits the coverage, as sentences."""
        limits = [w["message"] for w in self.warnings if w["code"] not in _EACH_NAMED]
        if self.coverage.get("truncated"):
            limits.append("The text was cut.")
        if pages := self.coverage.get("pages_without_text"):
            limits.append(f"Pages without text: {', '.join(map(str, pages))}.")
        for part in self.coverage.get("parts", []):
            if part.get("problem"):
                limits.append(f"{part['name']}: {part['problem']}")
            elif part.get("pages_without_text"):
                pages = ", ".join(map(str, part["pages_without_text"]))
                limits.append(f"{part['name']}: pages without text: {pages}.")
        return limits

    @property
    def extent(self) -> str:
        """Pages, sentences and characters in words."""
        names = ("pages", "sentences", "characters")
        counted = ((self.coverage.get(name), name) for name in names)
        return ", ".join(_counted(n, name) for n, name in counted if n is not None)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a report begins with; `by_category` has the number of findings by title, most first."""

    created_at: datetime
    n_scans: int
    n_findings: int
    by_category: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Content:
    """A report before it has a format; its scans can be iterated once."""

    summary: Summary
    scans: Iterator[ReportedScan]
    taxonomy: Taxonomy


def finding_row(finding: Finding, rows: Sequence[Feedback], taxonomy: Taxonomy) -> FindingRow:
    """Return a finding with its titles and what `rows`, the current verdicts on it, come to."""
    verdict = current_verdict(rows)
    types = verdict.risk_types if verdict else ()
    return FindingRow(
        finding,
        taxonomy.risk_title(finding.risk_type, finding.foreign_risk),
        taxonomy.category_title(finding.category, finding.foreign_category),
        verdict,
        tuple(taxonomy.risk_title(key, None) for key in types),
    )


def _counted(n: int, plural: str) -> str:
    return f"{n:,} {plural.removesuffix('s') if n == 1 else plural}"
