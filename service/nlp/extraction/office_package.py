"""Opens Office documents, which are zips of XML parts, as streams: a zip bomb costs little.

Readers get a part's elements one by one and never a whole part at once.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, NamedTuple
from urllib.parse import unquote

from lxml import etree  # type: ignore[import-untyped]  # ships no types

from service.errors import TooLarge, UnreadableDocument
from service.nlp.extraction.inflation import InflationBudget

MAX_ENTRIES = 10_000
_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_ENTRY_MARK = b"PK\x01\x02"
_BROKEN = (
    etree.XMLSyntaxError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    KeyError,
    NotImplementedError,
    ValueError,
)


class Relationship(NamedTuple):
    """A reference from one part to another; `kind` is the last word of its type, such as "comments"."""

    kind: str
    target: str


class OfficePackage:
    """An opened Office document; `title` names it in messages, such as "Word document"."""

    def __init__(self, archive: zipfile.ZipFile, *, title: str, inflation: InflationBudget) -> None:
        self._archive = archive
        self._title = title
        self._inflation = inflation
        names = archive.namelist()
        # Some programs write a backslash for a slash, or % escapes in either the name or the reference.
        self._names = {_plain(name): name for name in names} | {n.casefold(): n for n in names}

    def events(self, name: str, *tags: str) -> Iterator[tuple[str, etree._Element]]:
        """Yield "start" and "end" with each element of a part that has one of `tags`.

        Raises:
            UnreadableDocument: the part has a DTD.
            TooLarge: the budget for inflated bytes is spent.
            KeyError: there is no such part; and whatever a damaged part causes, see `opened`.
        """
        with self._archive.open(self._names[self._key(name)]) as stream:
            parser = etree.iterparse(
                _Metered(stream, self._inflation, self._title),
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

    def ended(self, name: str, *tags: str) -> Iterator[etree._Element]:
        """Yield each whole element of a part that has one of `tags`; raise as `events` does."""
        return (element for event, element in self.events(name, *tags) if event == "end")

    def has(self, name: str) -> bool:
        """Return whether there is a part of this name; names ignore case."""
        return self._key(name) in self._names

    def _key(self, name: str) -> str:
        exact = name.casefold()
        return exact if exact in self._names else _plain(name)

    def targets(self, name: str, *kinds: str) -> list[str]:
        """Return the parts to which a part refers by a relationship of these kinds, each once."""
        related = self.relationships(name).values()
        return list(dict.fromkeys(r.target for r in related if r.kind in kinds))

    def relationships(self, name: str) -> dict[str, Relationship]:
        """Return the references of a part to parts that exist, by id, in their order."""
        folder, _, base = name.rpartition("/")
        listed = f"{folder}/_rels/{base}.rels".lstrip("/")
        found: dict[str, Relationship] = {}
        if not self.has(listed):
            return found
        for element in self.ended(listed, "{*}Relationship"):
            target = posixpath.join("/", folder, element.get("Target", "").replace("\\", "/"))
            part = self._names.get(self._key(posixpath.normpath(target).lstrip("/")))
            if element.get("TargetMode") != "External" and part is not None:
                kind = element.get("Type", "").rpartition("/")[2]
                found[element.get("Id", "")] = Relationship(kind, part.replace("\\", "/"))
            clear(element)
        return found


def _plain(name: str) -> str:
    """Return the name of a part in the form in which names are compared."""
    return unquote(name.replace("\\", "/")).lstrip("/").casefold()


def relationship_id(element: etree._Element) -> str:
    """Return the id of the relationship that an element names, or ""."""
    return next((v for k, v in element.attrib.items() if k.endswith("}id")), "")


@contextmanager
def opened(data: bytes, *, title: str, inflation: InflationBudget) -> Iterator[OfficePackage]:
    """Open a document; errors of damaged parts that occur in the block become UnreadableDocument.

    Raises:
        TooLarge: it has more than MAX_ENTRIES parts, or declares more bytes than the budget has.
        UnreadableDocument: it is encrypted or damaged.
    """
    try:
        if data.count(_ENTRY_MARK) > MAX_ENTRIES:
            raise TooLarge(f"The {title} holds more than {MAX_ENTRIES:,} parts, the limit.")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check(archive, title, inflation)
            yield OfficePackage(archive, title=title, inflation=inflation)
    except _BROKEN as error:
        raise UnreadableDocument(
            f"The {title} is damaged. Open it in its program, save it again and send the new file."
        ) from error


def _check(archive: zipfile.ZipFile, title: str, inflation: InflationBudget) -> None:
    entries = archive.infolist()
    if any(entry.flag_bits & 1 for entry in entries):
        raise UnreadableDocument(
            f"The {title} is encrypted. Remove the password and send it again."
        )
    declared = sum(e.file_size for e in entries if e.filename.endswith(".xml"))
    InflationBudget(inflation.left_bytes).take(declared)


def main_part(package: OfficePackage, default: str) -> str:
    """Return the name of the part with which an Office document begins."""
    for related in package.relationships("").values():
        if related.kind == "officeDocument":
            return related.target
    return default


_DOCTYPE_BYTES = 36  # "<!DOCTYPE" at four bytes a character


class _Metered:
    """The stream of one part; reading it spends the budget."""

    def __init__(self, stream: IO[bytes], inflation: InflationBudget, title: str) -> None:
        self._stream, self._inflation, self._title = stream, inflation, title
        self._tail = b""

    def read(self, size: int = 65_536) -> bytes:
        """Return the next bytes; raise UnreadableDocument at a DTD, whose entities would be lost."""
        chunk = self._stream.read(size)
        self._inflation.take(len(chunk))
        head = (self._tail + chunk).replace(b"\0", b"")  # UTF-16 without its zero bytes is ASCII
        if b"<!DOCTYPE" in head:
            raise UnreadableDocument(
                f"The {self._title} declares XML entities, which no office program writes. Save it again."
            )
        self._tail = chunk[-_DOCTYPE_BYTES:]
        return chunk


def clear(element: etree._Element) -> None:
    """Free an element that was read, and those before it under the same parent."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def unescaped(text: str) -> str:
    """Return a workbook's text with the characters that XML cannot hold, such as "_x000D_".

    Source: ECMA-376, part 1, 22.9.2.19 (ST_Xstring).
    """
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def local(element: etree._Element) -> str:
    """Return the element's name without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
