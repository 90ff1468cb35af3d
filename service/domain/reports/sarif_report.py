"""A report as SARIF 2.1.0, which code scanning services and editors read: a run for each scan.

Source: OASIS, Static Analysis Results Interchange Format 2.1.0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from db.tables import Finding
from service.domain.report_logs import Chunk
from service.domain.reports.content import Content, FindingRow, ReportedScan
from service.domain.verdicts import Standing
from service.nlp.taxonomy import Taxonomy

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_FOREIGN = "foreign-risk"
"""The rule of a risk whose title the taxonomy does not have."""


def sarif_chunks(content: Content) -> Iterator[Chunk]:
    """Yield the log; a report that was cut off is no JSON."""
    rules, comma = _rules(content.taxonomy), ""
    yield 0, f'{{"$schema":"{SCHEMA}","version":"2.1.0","runs":['.encode()
    for scan in content.scans:
        yield 0, f'{comma}{_dump(_run(scan, rules))[:-1]},"results":['.encode()
        comma, is_first = ",", True
        for rows in scan.pages:
            text = ",".join(_dump(_result(scan, row)) for row in rows)
            yield len(rows), f"{'' if is_first else ','}{text}".encode()
            is_first = False
        yield 0, b"]}"
    yield 0, b"]}\n"


def _rules(taxonomy: Taxonomy) -> list[dict[str, Any]]:
    known = [
        {
            "id": risk.key,
            "name": risk.title,
            "shortDescription": {"text": risk.title},
            "fullDescription": {"text": risk.definition or risk.title},
            "properties": {"category": category.title},
        }
        for category in taxonomy.categories
        for risk in category.risk_types
    ]
    title = "A risk that another service named"
    return [*known, {"id": _FOREIGN, "name": title, "shortDescription": {"text": title}}]


def _run(reported: ReportedScan, rules: list[dict[str, Any]]) -> dict[str, Any]:
    scan = reported.scan
    driver = {"name": scan.model_name or "riskscan", "rules": rules}
    if scan.model_version:
        driver["version"] = scan.model_version
    artifact: dict[str, Any] = {"location": {"uri": _uri(reported)}}
    if scan.document_sha256:
        artifact["hashes"] = {"sha-256": scan.document_sha256}
    notes = [{"level": "warning", "message": {"text": text}} for text in reported.problems]
    return {
        "tool": {"driver": driver},
        "invocations": [
            {
                "executionSuccessful": True,
                "endTimeUtc": f"{scan.created_at:%FT%T.%f}"[:-3] + "Z",
                "toolExecutionNotifications": notes,
            }
        ],
        "automationDetails": {"id": f"riskscan/{scan.id}"},
        "artifacts": [artifact],
        "columnKind": "unicodeCodePoints",
        "properties": {"coverage": reported.coverage, "sensitivity": scan.sensitivity},
    }


def _result(reported: ReportedScan, row: FindingRow) -> dict[str, Any]:
    finding = row.finding
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(reported), "index": 0}}
    if finding.start is not None and finding.end is not None:
        place["region"] = {
            "charOffset": finding.start,
            "charLength": finding.end - finding.start,
            "snippet": {"text": finding.context},
        }
    result: dict[str, Any] = {
        "ruleId": finding.risk_type or _FOREIGN,
        "level": "warning",
        "message": {"text": f"{row.category}: {row.risk}. {finding.context}"},
        "locations": [{"physicalLocation": place}],
        "properties": _properties(row),
    }
    if finding.score is not None:
        result["rank"] = round(finding.score * 100, 4)
    if finding.fingerprint:
        result["fingerprints"] = {"riskscan/v1": finding.fingerprint}
    if row.verdict is not None and row.verdict.standing == Standing.REJECTED:
        result["suppressions"] = [{"kind": "external", "status": "accepted"}]
    return result


def _properties(row: FindingRow) -> dict[str, Any]:
    finding: Finding = row.finding
    return {
        "n": finding.n,
        "category": row.category,
        "page": finding.page,
        "part": finding.part,
        "verdict": row.standing,
    }


def _uri(reported: ReportedScan) -> str:
    """Return the document's name as a relative URI."""
    return quote(reported.name, safe="")


def _dump(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
