"""Reads Excel workbooks sheet by sheet, as a stream.

Read: the cells of every sheet, hidden ones included, row by row; results of formulas; dates as ISO 8601;
comments, text boxes, diagrams, charts' titles and names of series, descriptions of pictures.
Not read: formulas, headers and footers for printing, number formats other than dates, pivot caches, macros,
embedded files, data of a chart. Each sheet is a part; a workbook has no pages before it is printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree  # type: ignore[import-untyped]  # ships no types

from service.nlp.extraction.drawing_text import add_drawing, add_words
from service.nlp.extraction.excel_dates import DateStyles, read_date_styles
from service.nlp.extraction.office_package import (
    OfficePackage,
    Relationship,
    clear,
    local,
    main_part,
    opened,
    relationship_id,
    unescaped,
)
from service.nlp.extraction.tables import Table
from service.nlp.extraction.text_builder import TextBuilder, label

WORKBOOK = "xl/workbook.xml"
"""Where the main part of a workbook is, unless the package names another."""
_MISSING = (
    "The workbook lacks this sheet. Open it in its program, save it again and send the new file."
)
_COLUMN = re.compile("[A-Za-z]{1,3}")
_DRAWN = ("chart", "chartEx", "diagramData")
_PLACEHOLDER = re.compile(r"\[Threaded comment\].*?\nComment:\s*", re.DOTALL)
"""What Excel writes above its copy of a threaded comment among the notes, for its older versions."""


def read_xlsx(data: bytes, builder: TextBuilder) -> None:
    """Add the sheets of a workbook, each as a part.

    Raises:
        TooLarge: it inflates beyond its budget, or has too many sheets or cells.
        UnreadableDocument: it is encrypted or damaged.
    """
    with opened(data, title="Excel workbook", inflation=builder.inflation) as package:
        book = main_part(package, WORKBOOK)
        related = package.relationships(book)
        listed, is_1904 = sheets(package, book, related)
        strings = shared_strings(package, related)
        dates = read_date_styles(package, related, is_1904=is_1904)
        reader = _SheetReader(package, strings, dates, builder)
        for title, name in listed:
            whole_name = builder.part_name(title)
            if name:
                builder.begin_part(whole_name)
                reader.read(name)
            else:
                builder.begin_part(whole_name, problem=_MISSING)


def sheets(
    package: OfficePackage, book: str, related: dict[str, Relationship]
) -> tuple[list[tuple[str, str]], bool]:
    """Return title and part of each sheet, each part once, and whether dates count from 1904.

    The part is "" if the workbook lacks it.
    """
    found: list[tuple[str, str]] = []
    names: set[str] = set()
    is_1904 = False
    for element in package.ended(book, "{*}sheet", "{*}workbookPr"):
        if local(element) == "workbookPr":
            is_1904 = element.get("date1904") in {"1", "true"}
            continue
        key = relationship_id(element)
        name = related[key].target if key in related else ""
        if name not in names:
            found.append((label(element.get("name", "")), name))
        names |= {name} - {""}
    return found, is_1904


def shared_strings(package: OfficePackage, related: dict[str, Relationship]) -> list[str]:
    """Return the texts that cells refer to by number."""
    names = [r.target for r in related.values() if r.kind == "sharedStrings"]
    strings: list[str] = []
    for element in package.ended(names[0], "{*}si") if names else ():
        strings.append(rich_text(element))
        clear(element)
    return strings


def rich_text(element: etree._Element) -> str:
    """Return the text of all runs, without readings in another script (rPh)."""
    texts = (t for t in element.iter("{*}t") if local(t.getparent()) != "rPh")
    return "".join(t.text or "" for t in texts)


def cells_of(row: etree._Element) -> Iterator[tuple[int, etree._Element]]:
    """Yield column and element of each cell; a column counts from 1."""
    column = 0
    for cell in row.iterchildren("{*}c"):
        reference = _COLUMN.match(cell.get("r", ""))
        column = _column_number(reference.group()) if reference else column + 1
        yield column, cell


class _SheetReader:
    def __init__(
        self,
        package: OfficePackage,
        strings: list[str],
        dates: DateStyles,
        builder: TextBuilder,
    ) -> None:
        self._package = package
        self._strings = strings
        self._dates = dates
        self._builder = builder

    def read(self, name: str) -> None:
        """Add the cells of a sheet, then its comments and drawings."""
        table = Table(self._builder)
        for row in self._package.ended(name, "{*}row"):
            table.add_filled((column, self._text(cell)) for column, cell in cells_of(row))
            clear(row)
        targets = self._package.targets
        self._add_comments(targets(name, "threadedComment"), targets(name, "comments"))
        for drawing in targets(name, "drawing"):
            for drawn in (drawing, *targets(drawing, *_DRAWN)):
                add_drawing(self._package, drawn, self._builder)

    def _text(self, cell: etree._Element) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            return unescaped(rich_text(cell))
        value = next((v.text or "" for v in cell.iterchildren("{*}v")), "")
        if kind == "s":
            return unescaped(self._string(value)) if value else ""
        if kind == "n":
            return self._dates.text(value, cell.get("s", ""))
        if kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(value, value)
        return "" if kind == "e" else unescaped(value)  # an error, such as #REF!, is no text

    def _string(self, number: str) -> str:
        at = int(number) if number.isdecimal() and len(number) < 10 else len(self._strings)
        if at >= len(self._strings):
            raise ValueError(f"There is no shared string {number}.")  # the workbook is damaged
        return self._strings[at]

    def _add_comments(self, threads: list[str], notes: list[str]) -> None:
        """Add comments with replies, then the notes of cells without such a comment.

        A copy of a threaded comment that is lost is read from the notes.
        """
        commented: set[str] = set()
        for element in self._elements(threads, "{*}threadedComment"):
            commented.add(element.get("ref", ""))
            texts = (text.text or "" for text in element.iterchildren("{*}text"))
            add_words(unescaped("".join(texts)).strip(), self._builder)
        for element in self._elements(notes, "{*}comment"):
            if element.get("ref", "") not in commented:
                words = unescaped(rich_text(element)).strip()
                copied = _PLACEHOLDER.match(words)
                add_words(words[copied.end() :] if copied else words, self._builder)

    def _elements(self, parts: list[str], tag: str) -> Iterator[etree._Element]:
        for part in parts:
            for element in self._package.ended(part, tag):
                yield element
                clear(element)


def _column_number(letters: str) -> int:
    """Return the number of a column, 1 for A and 27 for AA."""
    number = 0
    for letter in letters.upper():
        number = 26 * number + ord(letter) - ord("A") + 1
    return number
