"""A report as one HTML page, without scripts and without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from service.domain.report_logs import Chunk
from service.domain.reports.content import Content, FindingRow, ReportedScan

_PIECES_AT_ONCE = 200
"""Pieces of the template that are sent together; without a buffer, each value would be a chunk."""


def html_chunks(content: Content) -> Iterator[Chunk]:
    """Yield the page; its last line says that nothing is missing."""
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("service.domain.reports"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    tally = _Tally(content.scans)
    most = max((n for _, n in content.summary.by_category), default=1)
    page = environment.get_template("report.html").stream(
        summary=content.summary, scans=iter(tally), most=most
    )
    page.enable_buffering(_PIECES_AT_ONCE)
    for text in page:
        yield tally.take(), text.encode()


class _Tally:
    """Counts the findings of the scans that it passes on."""

    def __init__(self, scans: Iterator[ReportedScan]) -> None:
        self._scans = scans
        self._n_rows = 0

    def __iter__(self) -> Iterator[ReportedScan]:
        for scan in self._scans:
            yield ReportedScan(scan.scan, self._counted(scan.pages))

    def take(self) -> int:
        """Return the number of findings since the last call."""
        n_rows, self._n_rows = self._n_rows, 0
        return n_rows

    def _counted(self, pages: Iterator[Sequence[FindingRow]]) -> Iterator[Sequence[FindingRow]]:
        for rows in pages:
            self._n_rows += len(rows)
            yield rows
