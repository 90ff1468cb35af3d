"""Pages of a PDF that wait on the disk until the document is written, so that memory does not grow with them.

fpdf2 keeps the contents of all pages, then the whole document, in memory. Its producer of documents is
replaced here by one that reads finished pages from a file, and writes to a file.
"""

from __future__ import annotations

import secrets
import zlib
from pathlib import Path
from typing import IO, cast

from fpdf import FPDF
from fpdf.output import OutputProducer, PDFPage
from fpdf.syntax import Name, PDFContentStream


class SpooledPages(FPDF):
    """A4 pages, each of which goes to `spool` as soon as the next one begins."""

    def __init__(self, spool: IO[bytes]) -> None:
        super().__init__(format="A4")
        self._spool = spool
        self._places: list[tuple[int, int]] = []
        self.target: IO[bytes] = spool

    def footer(self) -> None:
        """Store the page, which is complete; subclasses draw its foot before."""
        page = self.pages[self.page]
        packed = zlib.compress(cast("bytearray", page.contents))
        self._places.append((self._spool.tell(), len(packed)))
        self._spool.write(packed)
        page.contents = bytearray()

    def file_id(self) -> str:
        """Return a new identifier; fpdf2 would hash the whole document."""
        name = secrets.token_hex(16).upper()
        return f"<{name}><{name}>"

    def write_to(self, path: Path) -> None:
        """Complete the last page, and write the document."""
        with path.open("wb") as self.target:
            self.output(output_producer_class=_Producer)

    def stream_of(self, page: PDFPage) -> PDFContentStream:
        """Return the contents of a stored page."""
        return _Stored(self._spool, *self._places[page.index() - 1])


class _Written:
    """Stands for the bytes of the document, which are written to a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __iadd__(self, data: bytes) -> _Written:
        self._file.write(data)
        return self

    def __len__(self) -> int:
        return self._file.tell()


class _Stored(PDFContentStream):
    """Compressed contents of a page, at a place of the spool."""

    def __init__(self, spool: IO[bytes], start: int, size_bytes: int) -> None:
        super().__init__(b"")
        self._spool, self._start = spool, start
        self.filter = Name("FlateDecode")
        self.length = size_bytes

    def content_stream(self) -> bytes:
        self._spool.seek(self._start)
        return self._spool.read(self.length)


class _Producer(OutputProducer):
    """Writes a document without holding its pages."""

    def __init__(self, pages: FPDF) -> None:
        super().__init__(pages)
        self._pages = cast("SpooledPages", pages)
        self.buffer = _Written(self._pages.target)  # type: ignore[assignment]  # is added to and measured only

    def _add_pages(self, _slice: slice = slice(0, None)) -> list[PDFPage]:
        pages = [*self._pages.pages.values()]
        for page in pages:
            self._add_pdf_obj(page, "pages")
            stream = self._pages.stream_of(page)
            self._add_pdf_obj(stream, "pages")
            page.contents = stream
        return pages
