"""Reads Word documents as a stream from the zip, never a whole part at once, so a zip bomb costs little.

Read: paragraphs, lists, cells, text boxes, headers, footers, footnotes, endnotes, comments, diagrams,
WordArt, descriptions of pictures; titles, categories and series names of charts; hidden and inserted text.
Not read: deleted and moved-away text, numbers of charts, the selected item of a Word 97 drop-down list,
properties, embedded files. There are no page numbers, since a Word file has none before layout.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from lxml import etree  # type: ignore[import-untyped]  # ships no types

from service.errors import TooLarge, UnreadableDocument
from service.nlp.extraction.text_builder import TextBuilder

MAX_ENTRIES = 10_000
MAX_INFLATED_BYTES = 268_435_456
"""For all parts together. A 25 MiB file of real text inflates to about 250 MB."""
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
_CHART_TEXT = ("{*}v", "{*}pt")  # outside any paragraph; the second since Office 2016
_NUMBERS = {"numCache", "numLit", "numDim"}
_LEFT_OUT = {"del", "moveFrom", "Fallback", "instrText", "delText", "rPr", "pPr"}
_BROKEN = (
    etree.XMLSyntaxError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    NotImplementedError,
)
_DAMAGED = "The Word document is damaged. Open it in a word processor and save it again as .docx."


def read_docx(data: bytes, builder: TextBuilder) -> None:
    """Add the text of a Word document, part by part.

    Raises:
        TooLarge: it inflates beyond MAX_INFLATED_BYTES or has more than MAX_ENTRIES parts.
        UnreadableDocument: it is encrypted or damaged, or embeds another document.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check(archive)
            budget = _Budget(MAX_INFLATED_BYTES)
            for name in _part_names(archive, budget):
                _read_part(archive, name, budget, builder)
    except _BROKEN as error:
        raise UnreadableDocument(_DAMAGED) from error


def _check(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if any(entry.flag_bits & 1 for entry in entries):
        raise UnreadableDocument(
            "The Word document is encrypted. Remove the password and send it again."
        )
    _Budget(MAX_INFLATED_BYTES).take(
        sum(e.file_size for e in entries if e.filename.endswith(".xml"))
    )
    if len(entries) > MAX_ENTRIES:
        raise TooLarge(f"The Word document holds more than {MAX_ENTRIES:,} parts, the limit.")


class _Budget:
    """The bytes that may still be inflated. Counts actual bytes, not the sizes that the zip declares."""

    def __init__(self, left_bytes: int) -> None:
        self.left_bytes = left_bytes

    def take(self, n_bytes: int) -> None:
        self.left_bytes -= n_bytes
        if self.left_bytes < 0:
            raise TooLarge(
                f"The Word document inflates to more than {MAX_INFLATED_BYTES:,} bytes, the limit. "
                "Send it in parts, or save its text as .txt."
            )


_DOCTYPE_BYTES = 36  # "<!DOCTYPE" at four bytes a character


class _Metered:
    """The stream of one part; reading it spends the budget."""

    def __init__(self, stream: IO[bytes], budget: _Budget) -> None:
        self._stream, self._budget = stream, budget
        self._tail = b""

    def read(self, size: int = 65_536) -> bytes:
        """Return the next bytes; raise UnreadableDocument at a DTD, whose entities would be lost."""
        chunk = self._stream.read(size)
        self._budget.take(len(chunk))
        head = (self._tail + chunk).replace(b"\0", b"")  # UTF-16 without its zero bytes is ASCII
        if b"<!DOCTYPE" in head:
            raise UnreadableDocument(
                "The Word document declares XML entities, which no word processor writes. "
                "Save it again as .docx."
            )
        self._tail = chunk[-_DOCTYPE_BYTES:]
        return chunk


def _events(
    archive: zipfile.ZipFile, name: str, budget: _Budget, *tags: str
) -> Iterator[tuple[str, etree._Element]]:
    with archive.open(name) as stream:
        parser = etree.iterparse(
            _Metered(stream, budget),
            events=("start", "end"),
            tag=tags,
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,  # inside a run they would truncate its text
            remove_pis=True,
        )
        yield from parser


def _part_names(archive: zipfile.ZipFile, budget: _Budget) -> list[str]:
    """Return the names of the parts that hold text, in reading order."""
    ranked: set[tuple[int, str]] = set()  # a set, since a part may be listed twice
    for event, override in _events(archive, "[Content_Types].xml", budget, "{*}Override"):
        kind = override.get("ContentType", "").lower()
        rank = next((i for i, end in enumerate(_PARTS) if kind.endswith(end)), None)
        if event == "end" and rank is not None:
            ranked.add((rank, override.get("PartName", "").lstrip("/")))
    names = [name for _, name in sorted(ranked)]
    if not ranked or min(ranked)[0] > 2:
        names.insert(0, "word/document.xml")
    return names


def _read_part(archive: zipfile.ZipFile, name: str, budget: _Budget, builder: TextBuilder) -> None:
    depth = 0
    for event, element in _events(archive, name, budget, "{*}p", "{*}altChunk", *_CHART_TEXT):
        local = _local(element)
        if local == "altChunk":
            raise UnreadableDocument(
                "The Word document embeds another document. Open it in a word processor and save it again."
            )
        if local == "p":
            depth += 1 if event == "start" else -1
        if event == "start" or depth:
            continue
        if local == "p":
            for paragraph in _paragraphs(element):
                builder.add(paragraph)
            element.clear()
        elif words := _chart_words(element):
            builder.add(words)


def _chart_words(element: etree._Element) -> str:
    """Return the text of a category or series name, or "" for a number."""
    words = (element.text or "").strip()
    numeric = any(_local(above) in _NUMBERS for above in element.iterancestors())
    return "" if numeric else words


def _local(element: etree._Element) -> str:
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _paragraphs(paragraph: etree._Element) -> list[str]:
    """Return the paragraph's text, then that of its text boxes and pictures, without blank ones."""
    parts: list[str] = []
    inner: list[str] = []
    stack = list(reversed(paragraph))
    while stack:
        element = stack.pop()
        name = _local(element)
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
