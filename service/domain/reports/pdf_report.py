"""A report as PDF: a summary with a chart, then scan after scan.

Characters that no font has are drawn as replacement characters; their number stands at the end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from service.domain.report_logs import Chunk
from service.domain.reports.content import Content, FindingRow, ReportedScan, Summary
from service.domain.reports.pdf_lines import Lines
from service.domain.reports.pdf_pages import SpooledPages
from service.domain.temporary_files import file_chunks, storing

_Colour = tuple[int, int, int]
_FAMILY = "report"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_INK, _GREY, _BAR, _WARNING = (27, 31, 36), (87, 96, 106), (58, 110, 165), (179, 89, 0)
_MARGIN_MM, _LINE_MM = 18.0, 5.2
_CHART_MM, _CHART_PT, _LABEL_MM = 7.0, 9.0, 58.0
_KEPT_TOGETHER_MM = 24.0
"""A heading moves to the next page unless so much fits below it."""
_RISK_PT, _FACTS_PT, _TEXT_PT = 11.5, 8.5, 10.0


def pdf_chunks(content: Content, fonts: Sequence[Path]) -> Iterator[Chunk]:
    """Build the document in a temporary file, then yield its bytes.

    `fonts` are font files, the first for all characters that it has, the others for the rest.

    Raises:
        StorageUnavailable: the temporary folder is full or cannot be written.
    """
    with storing(), tempfile.TemporaryDirectory(prefix="riskscan-report-") as folder:
        path = Path(folder) / "report.pdf"
        with tempfile.TemporaryFile(dir=folder) as spool:
            n_rows = _write(content, path, spool, fonts)
        yield from file_chunks(path, n_rows)


def _write(content: Content, path: Path, spool: IO[bytes], fonts: Sequence[Path]) -> int:
    """Write the document; return the number of findings."""
    document = _Document(spool, fonts)
    n_rows = document.fill(content)
    document.write_to(path)
    return n_rows


class _Pages(SpooledPages):
    """Pages with their number at the foot."""

    def __init__(self, spool: IO[bytes], fonts: Sequence[Path]) -> None:
        super().__init__(spool)
        self.str_alias_nb_pages = ""  # or a document's "{nb}" would become the number of pages
        self.set_margins(_MARGIN_MM, _MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=_MARGIN_MM)
        self.lines = Lines(self, fonts, family=_FAMILY)

    def footer(self) -> None:
        self.set_y(-_MARGIN_MM + 4)
        self.set_font(_FAMILY, "", 8)
        self.set_text_color(*_GREY)
        self.cell(0, 4, f"Riskscan · {self.page_no()}", align="R")
        super().footer()


class _Document:
    def __init__(self, spool: IO[bytes], fonts: Sequence[Path]) -> None:
        self._pages = _Pages(spool, fonts)
        self._pages.set_title("Risk report")
        self._pages.set_creator("Riskscan")
        self._pages.set_lang("en")

    def fill(self, content: Content) -> int:
        """Write everything; return the number of findings."""
        self._pages.add_page()
        self._summarize(content.summary)
        n_rows = 0
        for scan in content.scans:
            self._begin(scan)
            for rows in scan.pages:
                for row in rows:
                    self._finding(row)
                n_rows += len(rows)
        self._end()
        return n_rows

    def write_to(self, path: Path) -> None:
        """Write the file."""
        self._pages.write_to(path)

    def _summarize(self, summary: Summary) -> None:
        self._write("Risk report", size=20)
        self._write(
            f"Created by Riskscan on {summary.created_at:%F %T} UTC. Documents: {summary.n_scans:,}. "
            f"Findings: {summary.n_findings:,}.",
            colour=_GREY,
        )
        if not summary.by_category:
            return
        self._gap(4)
        self._write("Findings by category", size=13)
        most = max(n for _, n in summary.by_category)
        for title, n in summary.by_category:
            self._bar(title, n, most)

    def _bar(self, title: str, n: int, most: int) -> None:
        pages = self._pages
        if pages.will_page_break(_CHART_MM):
            pages.add_page()
        top, room_mm = pages.y, pages.epw - _LABEL_MM - 16
        width_mm = max(0.5, room_mm * n / most)
        self._cell(self._shortened(title, _LABEL_MM - 3), x_mm=0)
        pages.set_fill_color(*_BAR)
        pages.rect(pages.l_margin + _LABEL_MM, top + 1, width_mm, _CHART_MM - 2, style="F")
        self._cell(f"{n:,}", x_mm=_LABEL_MM + width_mm + 1)
        pages.set_xy(pages.l_margin, top + _CHART_MM)

    def _begin(self, reported: ReportedScan) -> None:
        scan, pages = reported.scan, self._pages
        self._gap(6)
        if pages.will_page_break(_KEPT_TOGETHER_MM):
            pages.add_page()
        else:
            pages.set_draw_color(*_INK)
            pages.line(pages.l_margin, pages.y, pages.l_margin + pages.epw, pages.y)
            self._gap(2)
        self._write(reported.name, size=15)
        sensitivity = f", sensitivity {scan.sensitivity}" if scan.sensitivity else ""
        self._write(
            f"Scanned on {scan.created_at:%F %T} UTC with {reported.model}{sensitivity}. "
            f"Read: {reported.extent or 'unknown'}. Findings: {scan.n_findings:,}.",
            size=9,
            colour=_GREY,
        )
        for problem in reported.problems:
            self._write(problem, size=9, colour=_WARNING)

    def _finding(self, row: FindingRow) -> None:
        facts = (row.category, row.place, row.percent and f"score {row.percent}", row.standing)
        risk = [*self._broken(f"{row.finding.n}. {row.risk}", _RISK_PT)]
        about = [*self._broken(" · ".join(filter(None, facts)), _FACTS_PT)]
        self._gap(2)
        head_mm = len(risk) * _line_mm(_RISK_PT) + len(about) * _line_mm(_FACTS_PT)
        if self._pages.will_page_break(head_mm + _line_mm(_TEXT_PT)):
            self._pages.add_page()
        self._draw(risk, size=_RISK_PT, colour=_BAR)
        self._draw(about, size=_FACTS_PT, colour=_GREY)
        self._write(row.finding.context)

    def _end(self) -> None:
        self._gap(6)
        if n_replaced := self._pages.lines.n_replaced:
            self._write(
                f"{n_replaced:,} characters are drawn as {_REPLACEMENT}, since no font of this "
                "installation has them (REPORT_FONTS). The other formats have them.",
                size=9,
                colour=_WARNING,
            )
        self._write("End of the report.", size=9, colour=_GREY)

    def _write(self, text: str, *, size: float = _TEXT_PT, colour: _Colour = _INK) -> None:
        self._draw(self._broken(text, size), size=size, colour=colour)

    def _broken(self, text: str, size: float) -> Iterator[str]:
        """Break a text into lines of the page's width; its unknown characters count each time."""
        pages, lines = self._pages, self._pages.lines
        return lines.broken(lines.drawable(text), size, pages.epw - 2 * pages.c_margin)

    def _draw(self, broken: Iterable[str], *, size: float, colour: _Colour) -> None:
        pages, lines, line_mm = self._pages, self._pages.lines, _line_mm(size)
        x_mm = pages.l_margin + pages.c_margin
        for line in broken:
            if pages.will_page_break(line_mm):
                pages.add_page()
            pages.set_text_color(*colour)
            lines.draw(line, size_pt=size, height_mm=line_mm, x_mm=x_mm)
            pages.set_y(pages.y + line_mm)

    def _cell(self, text: str, *, x_mm: float) -> None:
        """Draw a text in a row of the chart, `x_mm` from the margin."""
        pages, lines = self._pages, self._pages.lines
        x_mm += pages.l_margin + pages.c_margin
        pages.set_text_color(*_INK)
        lines.draw(lines.drawable(text), size_pt=_CHART_PT, height_mm=_CHART_MM, x_mm=x_mm)

    def _gap(self, height_mm: float) -> None:
        self._pages.set_y(self._pages.y + height_mm)

    def _shortened(self, text: str, room_mm: float) -> str:
        lines = self._pages.lines
        fits: Callable[[str], bool] = lambda part: lines.width_mm(part, _CHART_PT) <= room_mm  # noqa: E731
        text, dots = lines.drawable(text), lines.drawable("…")
        if fits(text):
            return text
        while text and not fits(text + dots):
            text = text[:-1]
        return text + dots


def _line_mm(size_pt: float) -> float:
    return _LINE_MM * size_pt / 10
