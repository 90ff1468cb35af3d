"""Reads text in drawings and charts, which Office documents of all kinds share."""

from __future__ import annotations

from lxml import etree  # type: ignore[import-untyped]  # ships no types

from service.nlp.extraction.office_package import OfficePackage, local, unescaped
from service.nlp.extraction.text_builder import TextBuilder

CHART_TEXT = ("{*}v", "{*}pt")  # outside any paragraph; the second since Office 2016
_NUMBERS = {"numCache", "numLit", "numDim"}
_TEXT_BOXES = "chartUserShapes"
_SLIDE_NUMBER = "slidenum"


def chart_words(element: etree._Element) -> str:
    """Return the text of a category or series name, or "" for a number."""
    words = unescaped(element.text or "").strip()
    numeric = any(local(above) in _NUMBERS for above in element.iterancestors())
    return "" if numeric else words


def drawn_paragraph(paragraph: etree._Element) -> str:
    """Return the text of a drawing's paragraph (a:p), without the number of the slide."""
    words: list[str] = []
    for element in paragraph.iter("{*}t", "{*}br"):
        if local(element) == "br":
            words.append("\n")
        elif not _is_slide_number(element.getparent()):
            words.append(element.text or "")
    return "".join(words).strip()


def _is_slide_number(field: etree._Element | None) -> bool:
    return field is not None and field.get("type") == _SLIDE_NUMBER


def add_drawing(package: OfficePackage, name: str, builder: TextBuilder) -> None:
    """Add the text of a drawing, diagram or chart, then that of the text boxes in the chart."""
    for drawn in (name, *package.targets(name, _TEXT_BOXES)):
        _add_text(package, drawn, builder)


def _add_text(package: OfficePackage, name: str, builder: TextBuilder) -> None:
    """Add the paragraphs and descriptions of pictures in a part, in their order."""
    for element in package.ended(name, "{*}p", "{*}cNvPr", *CHART_TEXT):
        tag = local(element)
        if tag == "p":
            add_words(drawn_paragraph(element), builder)
            element.clear()
        elif tag == "cNvPr":
            add_words(description(element), builder)
        elif not _in_paragraph(element):
            add_words(chart_words(element), builder)


def _in_paragraph(element: etree._Element) -> bool:
    return any(local(above) == "p" for above in element.iterancestors())


def description(element: etree._Element) -> str:
    """Return what people wrote to describe a picture or shape."""
    return str(element.get("descr", "")).strip()


def add_words(words: str, builder: TextBuilder) -> None:
    """Add a block unless it is blank."""
    if words:
        builder.add(words)
