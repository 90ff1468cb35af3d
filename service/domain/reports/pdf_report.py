"""A report as PDF: a summary with a chart, then scan after scan.

Characters that no font has are drawn as replacement characters; their number stands at the end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import XPos, YPos

from service.domain.report_logs import Chunk
from service.domain.reports.content import Content, FindingRow, ReportedScan, Summary
from service.domain.temporary_files import file_chunks, storing

_FAMILY = "report"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_INK, _GREY, _BAR, _WARNING = (27, 31, 36), (87, 96, 106), (58, 110, 165), (179, 89, 0)
_MARGIN_MM, _LINE_MM = 18.0, 5.2
_CHART_MM, _LABEL_MM = 7.0, 58.0
_KEPT_TOGETHER_MM = 24.0
"""A heading moves to the next page unless so much fits below it."""


def pdf_chunks(content: Content, fonts: Sequence[Path]) -> Iterator[Chunk]:
    """Build the document in a temporary file, then yield its bytes.

    `fonts` are font files, the first for all characters that it has, the others for the rest.

    Raises:
        StorageUnavailable: the temporary folder is full or cannot be written.
    """
    with storing(), tempfile.TemporaryDirectory(prefix="riskscan-report-") as folder:
        path = Path(folder) / "report.pdf"
        document = _Document(fonts)
        n_rows = document.fill(content)
        document.output(path)
        del document
        yield from file_chunks(path, n_rows)


class _Pages(FPDF):
    """A4 pages with their number at the foot."""

    def __init__(self, fonts: Sequence[Path]) -> None:
        super().__init__(format="A4")
        self.str_alias_nb_pages = ""  # or a document's "{nb}" would become the number of pages
        names = [_FAMILY, *(f"{_FAMILY}{number}" for number in range(1, len(fonts)))]
        for name, font in zip(names, fonts, strict=True):
            self.add_font(name, "", font)
        self.set_fallback_fonts(names[1:])
        self.set_margins(_MARGIN_MM, _MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=_MARGIN_MM)

    def footer(self) -> None:
        self.set_y(-_MARGIN_MM + 4)
        self.set_font(_FAMILY, "", 8)
        self.set_text_color(*_GREY)
        self.cell(0, 4, f"Riskscan · {self.page_no()}", align="R")


class _Document:
    def __init__(self, fonts: Sequence[Path]) -> None:
        self._pages = _Pages(fonts)
        self._pages.set_title("Risk report")
        self._pages.set_creator("Riskscan")
        self._pages.set_lang("en")
        self._known = frozenset[int]().union(*(font.cmap for font in self._pages.fonts.values()))  # type: ignore[union-attr]  # all are TrueType
        self._n_replaced = 0

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

    def output(self, path: Path) -> None:
        """Write the file."""
        self._pages.output(path)

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
        self._style(9)
        top, room_mm = pages.y, pages.epw - _LABEL_MM - 16
        label = self._shortened(self._drawable(title), _LABEL_MM - 3)
        pages.cell(_LABEL_MM, _CHART_MM, label, new_x=XPos.RIGHT, new_y=YPos.TOP)
        pages.set_fill_color(*_BAR)
        width_mm = max(0.5, room_mm * n / most)
        pages.rect(pages.l_margin + _LABEL_MM, top + 1, width_mm, _CHART_MM - 2, style="F")
        pages.set_x(pages.l_margin + _LABEL_MM + width_mm + 1)
        pages.cell(15, _CHART_MM, f"{n:,}", new_x=XPos.LMARGIN, new_y=YPos.NEXT)

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
        self._gap(2)
        if self._pages.will_page_break(2 * _LINE_MM):
            self._pages.add_page()
        self._write(f"{row.finding.n}. {row.risk}", size=11.5, colour=_BAR)
        facts = (row.category, row.place, row.percent and f"score {row.percent}", row.standing)
        self._write(" · ".join(filter(None, facts)), size=8.5, colour=_GREY)
        self._write(row.finding.context)

    def _end(self) -> None:
        self._gap(6)
        if self._n_replaced:
            self._write(
                f"{self._n_replaced:,} characters are drawn as {_REPLACEMENT}, since no font of this "
                "installation has them (REPORT_FONTS). The other formats have them.",
                size=9,
                colour=_WARNING,
            )
        self._write("End of the report.", size=9, colour=_GREY)

    def _write(self, text: str, *, size: float = 10, colour: tuple[int, int, int] = _INK) -> None:
        self._style(size, colour=colour)
        line_mm = _LINE_MM * size / 10
        self._pages.multi_cell(
            0, line_mm, self._drawable(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )

    def _style(self, size: float, *, colour: tuple[int, int, int] = _INK) -> None:
        self._pages.set_font(_FAMILY, "", size)
        self._pages.set_text_color(*colour)

    def _gap(self, height_mm: float) -> None:
        self._pages.set_y(self._pages.y + height_mm)

    def _drawable(self, text: str) -> str:
        """Return a text in one line with a replacement for each character that no font has.

        fpdf2 would log those, and a log must not quote documents.
        """
        line = " ".join(text.split())
        drawable = "".join(c if ord(c) in self._known else _REPLACEMENT for c in line)
        self._n_replaced += sum(a != b for a, b in zip(line, drawable, strict=True))
        return drawable

    def _shortened(self, text: str, room_mm: float) -> str:
        fits: Callable[[str], bool] = lambda part: self._pages.get_string_width(part) <= room_mm  # noqa: E731
        if fits(text):
            return text
        while text and not fits(f"{text}…"):
            text = text[:-1]
        return f"{text}…"
