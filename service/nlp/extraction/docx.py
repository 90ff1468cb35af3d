"""Reads Word documents as a stream from the zip, never a whole part at once, so a zip bomb costs little.

Read: paragraphs, lists, cells, text boxes, headers, footers, footnotes, endnotes, comments, diagrams,
WordArt, descriptions of pictures; titles, categories and series names of charts; hidden and inserted text.
Not read: deleted and moved-away text, numbers of charts, the selected item of a Word 97 drop-down list,
properties, embedded files. There are no page numbers, since a Word file has none before layout.
"""

from __future__ import annotations

import re

from lxml import etree  # type: ignore[import-untyped]  # ships no types

from service.errors import UnreadableDocument
from service.nlp.extraction.drawing_text import CHART_TEXT, chart_words
from service.nlp.extraction.office_package import OfficePackage, local, opened
from service.nlp.extraction.text_builder import TextBuilder

_PARTS = (  # suffixes of content types, in reading order
    "document.main+xml",
    "document.macroenabled.main+xml",
    "template.main+xml",
    "header+xml",
    "footer+xml",
    "footnotes+xml",
    "endnotes+xml",
    "comments+xml",
    "diagramdata+xml",
    "chart+xml",
    "chartex+xml",
    "chartshapes+xml",
)
_TEXT = {"t"}
_CHARACTERS = {"br": "\n", "cr": "\n", "tab": "\t", "ptab": "\t", "noBreakHyphen": "-"}
_LEFT_OUT = {"del", "moveFrom", "Fallback", "instrText", "delText", "rPr", "pPr"}


def read_docx(data: bytes, builder: TextBuilder) -> None:
    """Add the text of a Word document, part by part.

    Raises:
        TooLarge: it inflates beyond its budget or has too many parts.
        UnreadableDocument: it is encrypted or damaged, or embeds another document.
    """
    with opened(data, title="Word document", inflation=builder.inflation) as package:
        for name in _part_names(package):
            _read_part(package, name, builder)


def _part_names(package: OfficePackage) -> list[str]:
    """Return the names of the parts that hold text, in reading order."""
    ranked: set[tuple[int, str]] = set()  # a set, since a part may be listed twice
    for event, override in package.events("[Content_Types].xml", "{*}Override"):
        kind = override.get("ContentType", "").lower()
        rank = next((i for i, end in enumerate(_PARTS) if kind.endswith(end)), None)
        if event == "end" and rank is not None:
            name = override.get("PartName", "").lstrip("/")
            if package.has(name):  # some programs leave entries of parts that they removed
                ranked.add((rank, name))
    names = [name for _, name in sorted(ranked)]
    if not ranked or min(ranked)[0] > 2:
        names.insert(0, "word/document.xml")
    return names


def _read_part(package: OfficePackage, name: str, builder: TextBuilder) -> None:
    depth = 0
    for event, element in package.events(name, "{*}p", "{*}altChunk", *CHART_TEXT):
        tag = local(element)
        if tag == "altChunk":
            raise UnreadableDocument(
                "The Word document embeds another document. Open it in a word processor and save it again."
            )
        if tag == "p":
            depth += 1 if event == "start" else -1
        if event == "start" or depth:
            continue
        if tag == "p":
            for paragraph in _paragraphs(element):
                builder.add(paragraph)
            element.clear()
        elif words := chart_words(element):
            builder.add(words)


def _paragraphs(paragraph: etree._Element) -> list[str]:
    """Return the paragraph's text, then that of its text boxes and pictures, without blank ones."""
    parts: list[str] = []
    inner: list[str] = []
    stack = list(reversed(paragraph))
    while stack:
        element = stack.pop()
        name = local(element)
        if name in _LEFT_OUT:
            continue
        if name == "p":
            inner += _paragraphs(element)
        elif name in _TEXT:
            parts.append(element.text or "")
        elif name in _CHARACTERS:
            parts.append(_CHARACTERS[name])
        elif name == "sym":
            parts.append(_symbol(element))
        else:
            inner += _aside(element, name)
            stack += reversed(element)
    own = "".join(parts).strip()
    return [own, *inner] if own else inner


def _symbol(element: etree._Element) -> str:
    """Return the character of a `w:sym`; symbol fonts use the private range from U+F000 on."""
    code = next((v for k, v in element.attrib.items() if k.rpartition("}")[2] == "char"), "")
    return chr(int(code, 16)) if re.fullmatch("[0-9A-Fa-f]{4}", code) else "\ufffd"


def _aside(element: etree._Element, name: str) -> list[str]:
    """Return the text in a drawing's attributes: the description of a picture, WordArt."""
    attributes = {"docPr": ("title", "descr"), "textpath": ("string",)}.get(name, ())
    return [words for words in (element.get(a, "").strip() for a in attributes) if words]
