"""Reads PDF with pdfium: joins positioned lines to paragraphs, page by page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import pypdfium2 as pdfium  # type: ignore[import-untyped]  # ships no types
from pypdfium2 import raw

from service.errors import TooLarge, UnreadableDocument
from service.nlp.extraction.paragraphs import (
    MIN_WRAP_WIDTH,
    SENTENCE_END,
    continues_sentence,
    find_blocks,
    first_word,
    is_break,
    marker_end,
)
from service.nlp.extraction.pdf_annotations import open_form, read_annotations
from service.nlp.extraction.pdf_blank_pages import blank_pages
from service.nlp.extraction.text_builder import TextBuilder

_HYPHEN = "\ufffe"  # pdfium puts this in place of a hyphen and line break
_INNER_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"\u201c])")
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"\W*(?:page\s+)?(?:\d{1,5}|[ivxl]{1,7})(?:\s*(?:of|/)\s*\d{1,5})?\W*", re.IGNORECASE
)
_WORD = re.compile(r"\w+-\w+")
_INDENT_POINTS = 60  # a line whose left edge is further away belongs to another column or cell
_EDGE_LINES = 2  # this many lines at the top and bottom of a page may be running headers or footers


@dataclass(slots=True)
class Line:
    """One line of a page; its box is in points from the lower left corner."""

    text: str
    left: float
    bottom: float
    right: float
    top: float
    is_running: bool = False
    """Whether it is a running header or footer."""


@dataclass(frozen=True, slots=True)
class Page:
    """The lines of a page, and its annotations: values of form fields, comments.

    pdfium finds nothing on an empty page: it is blank, or its content is damaged.
    """

    lines: list[Line]
    notes: list[str]
    is_empty: bool = False

    def running(self) -> list[str]:
        """Return the running headers and footers."""
        return [line.text for line in self.lines if line.is_running]


def read_pdf(data: bytes, builder: TextBuilder, *, max_pages: int) -> None:
    """Add every page; paragraphs, headings, bullets, cells, running headers and footers become blocks.

    A paragraph that continues across page breaks is one block, which the running headers and footers of these
    pages follow. Values of form fields and comments come at the end of their page, or before its last
    paragraph if that continues on the next page.

    Raises:
        TooLarge: more than `max_pages` pages.
        UnreadableDocument: the file is encrypted or damaged, or has no text and OCR is off.
    """
    document = _open(data)
    open_form(document)
    if len(document) > max_pages:
        raise TooLarge(
            f"The PDF has {len(document):,} pages; {max_pages:,} are read. Split it, or ask the operator "
            "to raise MAX_PAGES."
        )
    pages = [_read_page(document, i) for i in range(len(document))]
    blank = blank_pages(data, [i for i, page in enumerate(pages) if page.is_empty])
    builder.parts[-1].pages_without_text += [
        i + 1 for i, page in enumerate(pages) if not page.lines and i not in blank
    ]
    if builder.parts[-1].pages_without_text:
        builder.keep_picture(data)
    if not builder.keeps_pictures and not any(page.lines or page.notes for page in pages):
        raise UnreadableDocument(
            "The PDF contains only images, no text. Run text recognition (OCR) on it and send the result, "
            "or ask the operator to set OCR=on."
        )
    _mark_running([page.lines for page in pages])
    compounds = {w for page in pages for line in page.lines for w in _WORD.findall(line.text)}
    _Assembler(builder, compounds).add_all(pages)


def _open(data: bytes) -> pdfium.PdfDocument:
    try:
        return pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        if getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD:
            raise UnreadableDocument(
                "The PDF is protected by a password. Remove the password and send it again."
            ) from error
        raise UnreadableDocument(
            "The PDF is damaged. Open it in a viewer, print it to a new PDF and send the new file."
        ) from error


def _read_page(document: pdfium.PdfDocument, index: int) -> Page:
    try:
        page = document[index]
        text_page = page.get_textpage()
    except pdfium.PdfiumError as error:
        raise UnreadableDocument(
            f"Page {index + 1} of the PDF is damaged. Print the document to a new PDF and send the new file."
        ) from error
    shown = text_page.get_text_range()
    content = Page(
        _read_lines(text_page, shown),
        read_annotations(document, page, shown),
        is_empty=_is_empty(page),
    )
    text_page.close()
    page.close()
    return content


def _is_empty(page: pdfium.PdfPage) -> bool:
    shown: int = raw.FPDFPage_CountObjects(page) + raw.FPDFPage_GetAnnotCount(page)
    return shown == 0


def _read_lines(text_page: pdfium.PdfTextPage, shown: str) -> list[Line]:
    lines: list[Line] = []
    offset = 0
    for text in shown.split("\r\n"):
        for start, end in _split_at_hyphens(text):
            lines += _cells(text_page, text[start:end], offset + start)
        offset += len(text) + 2
    return lines


def _split_at_hyphens(text: str) -> list[tuple[int, int]]:
    """Split `text` after each of pdfium's hyphen marks; return the spans."""
    ends = [i + 1 for i, c in enumerate(text) if c == _HYPHEN] + [len(text)]
    return list(zip([0, *ends], ends, strict=False))


def _cells(text_page: pdfium.PdfTextPage, text: str, offset: int) -> list[Line]:
    """Split a line into table cells at gaps wider than two line heights."""
    if not text.strip():
        return []
    n_rects = raw.FPDFText_CountRects(text_page, offset, len(text))
    rects = [text_page.get_rect(i) for i in range(n_rects)]
    if not rects:
        return [Line(text, 0.0, 0.0, 0.0, 0.0)]
    left, bottom = min(r[0] for r in rects), min(r[1] for r in rects)
    right, top = max(r[2] for r in rects), max(r[3] for r in rects)
    if any(b[0] - a[2] > 2 * (top - bottom) for a, b in pairwise(rects)):
        cells = _cut(text_page, text, offset, gap=2 * (top - bottom))
        if len(cells) > 1:
            return [c for start, part in cells for c in _cells(text_page, part, offset + start)]
    return [Line(text.strip(), left, bottom, right, top)]


def _cut(
    text_page: pdfium.PdfTextPage, text: str, offset: int, *, gap: float
) -> list[tuple[int, str]]:
    cuts, right = [0], None
    for i, character in enumerate(text):
        if character.isspace():
            continue
        box = text_page.get_charbox(offset + i)
        if right is not None and box[0] - right > gap:
            cuts.append(i)
        right = box[2]
    return [(a, text[a:b]) for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]


def _mark_running(pages: list[list[Line]]) -> None:
    """Mark page numbers, and lines that recur at the same place on three pages (or on all), digits aside."""
    edges = [[*page[:_EDGE_LINES], *page[_EDGE_LINES:][-_EDGE_LINES:]] for page in pages]
    n_pages = Counter(key for edge in edges for key in {_key(line) for line in edge})
    needed = max(2, min(3, len(pages)))
    for edge in edges:
        for line in edge:
            is_number = _PAGE_NUMBER.fullmatch(line.text) is not None
            line.is_running = is_number or n_pages[_key(line)] >= needed


def _key(line: Line) -> tuple[str, int]:
    """Return the text without its digits, and the height on the page."""
    return _DIGITS.sub("#", line.text), round(line.bottom / 4)


def _right_edges(lines: list[Line]) -> list[float]:
    """Return for each line the right edge of its column or cell: the rightmost end of its lines."""
    groups: list[list[Line]] = []
    for line in lines:
        if groups and abs(line.left - groups[-1][-1].left) < _INDENT_POINTS:
            groups[-1].append(line)
        else:
            groups.append([line])
    return [edge for group in groups for edge in [max(line.right for line in group)] * len(group)]


def _begins_block(above: Line, line: Line, edge: float, *, is_item: bool) -> bool:
    height = max(above.top - above.bottom, 1.0)
    if above.text.endswith(_HYPHEN):
        return False
    if is_item or abs((line.top - line.bottom) / height - 1) > 0.5:
        return True
    if _is_apart(above, line):
        return not _continues(above.text, line.text)
    word = len(first_word(line.text)) + 1
    room = word * (line.right - line.left) / max(len(line.text), 1)
    filled = (above.right - above.left) / max(edge - above.left, 1.0)
    return is_break(line.text, wraps=above.right + room > edge, filled=filled)


def _is_apart(above: Line, line: Line) -> bool:
    """Return whether a blank line is between the lines, or `line` is at the top of another column."""
    height = max(above.top - above.bottom, 1.0)
    gap = above.bottom - line.top
    return gap > 1.2 * height or gap < -1.5 * height


def _is_item(paragraph: str, lines: list[Line], at: int) -> bool:
    """Return whether line `at`, which follows a paragraph, begins an item of a list."""
    above, line = lines[at - 1].text, lines[at].text
    if marker_end(line) is None:
        return False
    if marker_end(paragraph) is not None or len(above) < MIN_WRAP_WIDTH:
        return True
    return not continues_sentence(above, line, _below(lines, at))


def _below(lines: list[Line], at: int) -> Iterator[str]:
    """Yield the texts of the lines after line `at`, with "" for blank space between them."""
    for k in range(at + 1, len(lines)):
        if _is_apart(lines[k - 1], lines[k]):
            yield ""
        yield lines[k].text


def _continues(above: str, below: str) -> bool:
    return below[:1].islower() and not SENTENCE_END.search(above)


def _continues_on_page(last: str, body: list[str]) -> bool:
    """Return whether the paragraph `last` of a page continues at the start of the next page's body."""
    return bool(last and body) and _continues(last, body[0]) and marker_end(body[0]) is None


class _Assembler:
    """Joins lines to paragraphs, also across page breaks."""

    def __init__(self, builder: TextBuilder, compounds: set[str]) -> None:
        self._builder = builder
        self._compounds = compounds

    def add_all(self, pages: list[Page]) -> None:
        bodies = [self._paragraphs([n for n in page.lines if not n.is_running]) for page in pages]
        last = ""  # paragraph that may continue on the next page
        waiting: list[str] = []  # blocks to add after it, from the pages that it covers
        for page, body, following in zip(pages, bodies, [*bodies[1:], []], strict=True):
            if _continues_on_page(last, body):
                rest = self._carry(last, body)
            else:
                self._add_all(waiting)
                self._builder.begin_page()
                rest, waiting = body, []
            waiting += page.running()
            if body and not rest:  # one sentence fills the page
                last = body[0]
                waiting += page.notes
                continue
            self._add_all(waiting)
            last, waiting = (rest[-1] if rest else ""), []
            self._add_body(rest, page.notes, continues=_continues_on_page(last, following))
        self._add_all(waiting)

    def _add_body(self, paragraphs: list[str], notes: list[str], *, continues: bool) -> None:
        before_notes = len(paragraphs) - continues
        self._add_all(paragraphs[:before_notes])
        for note in notes:
            self._builder.add_blocks(note, find_blocks(note))
        self._add_all(paragraphs[before_notes:])

    def _carry(self, last: str, body: list[str]) -> list[str]:
        """Append the end of the sentence at the start of `body` to the last block; return the rest."""
        end = _INNER_END.search(body[0])
        head, rest = (body[0][: end.start()], body[0][end.end() :]) if end else (body[0], "")
        glue = " "
        if last.endswith((_HYPHEN, "-")):
            glue = ""
            if not self._is_compound(last.removesuffix(_HYPHEN).removesuffix("-"), head):
                self._builder.drop_last_character()
        self._builder.extend_last(_clean(head), mark=self._builder.begin_page, glue=glue)
        return [rest, *body[1:]] if rest else body[1:]

    def _paragraphs(self, lines: list[Line]) -> list[str]:
        paragraphs: list[str] = []
        edges = _right_edges(lines)
        for i, line in enumerate(lines):
            if i == 0 or _begins_block(
                lines[i - 1], line, edges[i - 1], is_item=_is_item(paragraphs[-1], lines, i)
            ):
                paragraphs.append(line.text)
            else:
                paragraphs[-1] = self._joined(paragraphs[-1], line.text)
        return paragraphs

    def _joined(self, above: str, below: str) -> str:
        stem = above.removesuffix(_HYPHEN).removesuffix("-")
        hyphenated = above != stem and stem[-1:].isalpha() and below[:1].islower()
        if not hyphenated and not above.endswith(_HYPHEN):
            return f"{above} {below}"
        return f"{stem}-{below}" if self._is_compound(stem, below) else stem + below

    def _is_compound(self, stem: str, below: str) -> bool:
        """Return whether the word has a hyphen: elsewhere in the document too, or before a capital."""
        left, right = stem.split()[-1:], re.match(r"\w+", below)
        word = f"{left[0] if left else ''}-{right.group() if right else ''}"
        return word in self._compounds or not below[:1].islower()

    def _add_all(self, texts: list[str]) -> None:
        for text in map(_clean, texts):
            self._builder.add(text, skip=marker_end(text) or 0)


def _clean(text: str) -> str:
    return text.replace(_HYPHEN, "-").replace("\u00ad", "").replace("\x02", "")
