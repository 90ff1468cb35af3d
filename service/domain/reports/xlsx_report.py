"""A report as a workbook: a summary with a chart, the documents, and the findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.domain.report_logs import Chunk
from service.domain.reports.content import Content, FindingRow, ReportedScan, Summary
from service.domain.workbooks import Book, workbook_chunks

_SUMMARY, _DOCUMENTS, _FINDINGS = "Summary", "Documents", "Findings"
_DOCUMENT_COLUMNS = (
    ("Document", 40),
    ("Scanned at (UTC)", 20),
    ("Model", 28),
    ("Sensitivity", 12),
    ("Extent", 34),
    ("Findings", 10),
    ("Coverage", 60),
    ("Scan", 38),
)
_FINDING_COLUMNS = (
    ("Document", 32),
    ("No.", 6),
    ("Part", 20),
    ("Page", 6),
    ("Sentence", 90),
    ("Risk", 30),
    ("Category", 22),
    ("Score", 8),
    ("Verdict", 24),
    ("Scan", 38),
)


def xlsx_chunks(content: Content) -> Iterator[Chunk]:
    """Build the workbook in a temporary folder, then yield its bytes; raises as `workbook_chunks` does."""
    return workbook_chunks(lambda book: _fill(book, content))


def _fill(book: Book, content: Content) -> int:
    """Write all sheets; return the number of findings."""
    _summarize(book, content.summary)
    documents = book.table(_DOCUMENTS, _DOCUMENT_COLUMNS)
    findings = book.table(_FINDINGS, _FINDING_COLUMNS)
    n_rows = 0
    for scan in content.scans:
        documents.add(_document_cells(scan))
        for rows in scan.pages:
            for row in rows:
                findings.add(_finding_cells(scan, row))
            n_rows += len(rows)
    return n_rows


def _summarize(book: Book, summary: Summary) -> None:
    sheet = book.workbook.add_worksheet(_SUMMARY)
    sheet.set_column(0, 0, 34)
    facts = (
        ("Created at (UTC)", f"{summary.created_at:%F %T}"),
        ("Documents", summary.n_scans),
        ("Findings", summary.n_findings),
    )
    for row, (name, value) in enumerate(facts):
        book.write(sheet, row, 0, name, book.bold)
        book.write(sheet, row, 1, value, book.cell)
    header = len(facts) + 1
    book.write(sheet, header, 0, "Category", book.bold)
    book.write(sheet, header, 1, "Findings", book.bold)
    for row, (title, n) in enumerate(summary.by_category, start=header + 1):
        book.write(sheet, row, 0, title, book.cell)
        book.write(sheet, row, 1, n, book.cell)
    if summary.by_category:
        sheet.insert_chart(0, 3, _chart(book, header + 1, len(summary.by_category)))


def _chart(book: Book, first: int, n: int) -> Any:  # noqa: ANN401 - XlsxWriter's
    chart = book.workbook.add_chart({"type": "bar"})
    last = first + n - 1
    chart.add_series(
        {
            "name": "Findings",
            "categories": [_SUMMARY, first, 0, last, 0],
            "values": [_SUMMARY, first, 1, last, 1],
            "data_labels": {"value": True},
        }
    )
    chart.set_title({"name": "Findings by category"})
    chart.set_legend({"none": True})
    chart.set_y_axis({"reverse": True})
    chart.set_size({"width": 640, "height": 120 + 26 * n})
    return chart


def _document_cells(reported: ReportedScan) -> tuple[object, ...]:
    scan = reported.scan
    return (
        reported.name,
        f"{scan.created_at:%F %T}",
        reported.model,
        scan.sensitivity,
        reported.extent,
        scan.n_findings,
        " ".join(reported.problems) or "No warnings.",
        str(scan.id),
    )


def _finding_cells(reported: ReportedScan, row: FindingRow) -> tuple[object, ...]:
    finding = row.finding
    return (
        reported.name,
        finding.n,
        finding.part,
        finding.page,
        finding.context,
        row.risk,
        row.category,
        finding.score,
        row.standing,
        str(reported.scan.id),
    )
