"""A report as CSV: a line for each finding, with its document beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from service.domain.report_logs import Chunk
from service.domain.reports.content import Content, FindingRow, ReportedScan
from service.domain.spreadsheet_cells import csv_cell

COLUMNS = (
    "document",
    "scan_id",
    "scanned_at",
    "model_name",
    "model_version",
    "n",
    "part",
    "page",
    "context",
    "risk",
    "category",
    "score",
    "verdict",
    "coverage_warnings",
)


def csv_chunks(content: Content) -> Iterator[Chunk]:
    """Yield the lines; the last one, `# complete: N rows`, says that nothing is missing."""
    n_rows = 0
    yield 0, _lines([COLUMNS])
    for scan in content.scans:
        # Each warning names at most five places; the list of all unread parts is too long for every line.
        warnings = " ".join(warning["message"] for warning in scan.warnings)
        for rows in scan.pages:
            n_rows += len(rows)
            yield len(rows), _lines([_cells(scan, row, warnings=warnings) for row in rows])
    yield 0, f"# complete: {n_rows} rows\r\n".encode()


def _cells(reported: ReportedScan, row: FindingRow, *, warnings: str) -> tuple[object, ...]:
    scan, finding = reported.scan, row.finding
    return (
        reported.name,
        str(scan.id),
        scan.created_at.isoformat(),
        scan.model_name,
        scan.model_version,
        finding.n,
        finding.part,
        finding.page,
        finding.context,
        row.risk,
        row.category,
        finding.score,
        row.standing,
        warnings,
    )


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([csv_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()
