"""A report as one JSON object, written as it is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from service.domain.report_logs import Chunk
from service.domain.reports.content import Content, FindingRow, ReportedScan, Summary


def json_chunks(content: Content) -> Iterator[Chunk]:
    """Yield the object; `complete` is its last member, so a report that was cut off is no JSON."""
    yield 0, _open(_summary_fields(content.summary), "scans")
    comma = b""
    for scan in content.scans:
        yield 0, comma + _open(_scan_fields(scan), "findings")
        comma = b","
        is_first = True
        for rows in scan.pages:
            text = ",".join(_dump(finding_fields(row)) for row in rows)
            yield len(rows), f"{'' if is_first else ','}{text}".encode()
            is_first = False
        yield 0, b"]}"
    yield 0, b'],"complete":true}\n'


def finding_fields(row: FindingRow) -> dict[str, Any]:
    """Return a finding as the JSON and SARIF reports have it."""
    finding = row.finding
    names = ("n", "risk_type", "category", "score", "page", "part", "heading", "start", "end")
    return {
        **{name: getattr(finding, name) for name in names},
        "risk": row.risk,
        "category_title": row.category,
        "context": finding.context,
        "ocr": finding.ocr,
        "verdict": row.verdict and row.verdict.standing,
        "verdict_risks": row.verdict_risks,
    }


def _summary_fields(summary: Summary) -> dict[str, Any]:
    return {
        "created_at": summary.created_at.isoformat(),
        "n_scans": summary.n_scans,
        "n_findings": summary.n_findings,
        "categories": [{"category": title, "n_findings": n} for title, n in summary.by_category],
    }


def _scan_fields(reported: ReportedScan) -> dict[str, Any]:
    scan = reported.scan
    return {
        "scan_id": str(scan.id),
        "document": reported.name,
        "document_sha256": scan.document_sha256 or None,
        "scanned_at": scan.created_at.isoformat(),
        "source": scan.source,
        "model_name": scan.model_name,
        "model_version": scan.model_version,
        "sensitivity": scan.sensitivity,
        "n_findings": scan.n_findings,
        "coverage": reported.coverage,
    }


def _open(fields: dict[str, Any], last: str) -> bytes:
    """Return an object without its end, whose last member is a list without items."""
    return f'{_dump(fields)[:-1]},"{last}":['.encode()


def _dump(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
