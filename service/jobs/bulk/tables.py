"""The Arrow tables of a bulk scan: documents on their way to the workers, and results on their way back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa

from service.jobs.bulk.documents import Problem, SourceDocument
from service.nlp.pipeline import ScanResult

SHARE = "share"
"""The column of results that no sink stores: how much of the source was read."""

_PROBLEM = pa.struct([("code", pa.string()), ("message", pa.string())])
_PAGES = pa.list_(pa.int32())
DOCUMENTS = pa.schema(
    [
        ("id", pa.string()),
        ("content", pa.large_binary()),
        ("is_text", pa.bool_()),
        ("name", pa.string()),
        ("share", pa.float64()),
        ("problem", _PROBLEM),
    ]
)
_PART = pa.struct(
    [
        ("name", pa.string()),
        ("characters", pa.int64()),
        ("pages", pa.int32()),
        ("pages_without_text", _PAGES),
        ("pages_by_ocr", _PAGES),
        ("problem", pa.string()),
    ]
)
COVERAGE = pa.struct(
    [
        ("characters", pa.int64()),
        ("sentences", pa.int64()),
        ("pages", pa.int32()),
        ("pages_without_text", _PAGES),
        ("pages_by_ocr", _PAGES),
        ("parts", pa.list_(_PART)),
        ("truncated", pa.bool_()),
        ("language", pa.string()),
        ("language_share", pa.float64()),
        ("warnings", pa.list_(_PROBLEM)),
        ("hidden_findings", pa.int64()),
    ]
)
FINDING = pa.struct(
    [
        ("risk_type", pa.string()),
        ("category", pa.string()),
        ("risk", pa.string()),
        ("category_title", pa.string()),
        ("score", pa.float64()),
        ("context", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("page", pa.int32()),
        ("part", pa.string()),
        ("heading", pa.string()),
        ("ocr", pa.bool_()),
    ]
)
RESULTS = pa.schema(
    [
        ("id", pa.string()),
        ("sha256", pa.string()),
        ("media_type", pa.string()),
        ("size_bytes", pa.int64()),
        ("model_name", pa.string()),
        ("model_version", pa.string()),
        ("sensitivity", pa.string()),
        ("coverage", COVERAGE),
        ("findings", pa.list_(FINDING)),
        ("error", _PROBLEM),
        (SHARE, pa.float64()),
    ]
)
"""One row for each document: a result, or an error. docs/bulk.md describes the columns."""


def documents_table(documents: Iterable[SourceDocument]) -> pa.Table:
    """Return documents as a table, one row each."""
    return pa.Table.from_pylist([asdict(document) for document in documents], DOCUMENTS)


def documents_of(table: pa.Table) -> list[SourceDocument]:
    """Return the documents of a table that `documents_table` made."""
    rows = table.to_pylist()
    return [
        SourceDocument(**row | {"problem": problem and Problem(**problem)})
        for row, problem in zip(rows, (row["problem"] for row in rows), strict=True)
    ]


def results_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Return rows of `scanned_row` or `bad_row` as a table."""
    return pa.Table.from_pylist(list(rows), RESULTS)


def bad_row(document: SourceDocument, problem: Problem) -> dict[str, Any]:
    """Return the row of a document that was not scanned."""
    return {**_identity(document), "error": asdict(problem)}


def stored_row(document: SourceDocument) -> dict[str, Any]:
    """Return the row of a document whose scan is in the database, where its findings are."""
    return _identity(document)


def scanned_row(document: SourceDocument, result: ScanResult) -> dict[str, Any]:
    """Return the row of a document that was scanned."""
    findings = []
    for finding in result.findings():
        risk, category = finding.titles(result.analysis.taxonomy)
        findings.append({**asdict(finding), "risk": risk, "category_title": category})
    return {
        **_identity(document),
        "media_type": result.media_type,
        "size_bytes": result.size_bytes,
        "model_name": result.analysis.model_name,
        "model_version": result.analysis.model_version,
        "sensitivity": result.sensitivity,
        "coverage": result.coverage(),
        "findings": findings,
    }


def _identity(document: SourceDocument) -> dict[str, Any]:
    return {"id": document.id, "sha256": document.sha256, SHARE: document.share}
