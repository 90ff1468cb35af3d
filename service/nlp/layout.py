"""Where each character of a document is: its part, page and heading. Imports numpy only."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from service.nlp.arrays import Ints


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of a document or of one part of it; pages count from 1.

    `starts` holds the offset at which each page begins, ascending; it is empty if the format has no pages.
    """

    starts: tuple[int, ...] = ()
    without_text: tuple[int, ...] = ()
    by_ocr: tuple[int, ...] = ()
    """Pages without text of their own, whose picture was read."""

    def at(self, offset: int) -> int | None:
        """Return the page of the character at `offset`, or None without pages.

        An empty page starts at the same offset as the next page; the last page that starts there is returned.
        """
        return bisect_right(self.starts, offset) or None


@dataclass(frozen=True, slots=True)
class Part:
    """A sheet, a slide, an attachment or a file of an archive; it ends where the next part begins.

    A part within a part has both names, as in "annexes/risks.xlsx > Register". The name is empty for the text
    of the document itself, such as the body of an e-mail.
    """

    name: str
    start: int = 0
    pages: Pages = field(default_factory=Pages)
    problem: str | None = None
    """Why the part was not read; None if it was."""
    begins_file: bool = False
    """Whether an attachment or a file of an archive begins with it; False for its next sheet or slide."""


@dataclass(frozen=True, eq=False, slots=True)
class Headings:
    """The headers of the columns that table cells belong to.

    `starts`, int64 (n_blocks,), holds the start of each block, ascending. `rows`, int32 (n_blocks,), holds
    the place of its heading in `names`, or -1.
    """

    names: tuple[str, ...]
    starts: Ints
    rows: npt.NDArray[np.int32]

    def at(self, offset: int) -> str | None:
        """Return the heading of the block at `offset`, or None."""
        at = int(np.searchsorted(self.starts, offset, side="right")) - 1
        row = int(self.rows[at]) if at >= 0 else -1
        return self.names[row] if row >= 0 else None


@dataclass(frozen=True, slots=True)
class Layout:
    """The parts of a document, in order, and its headings. Every document has at least one part."""

    parts: tuple[Part, ...] = (Part(""),)
    headings: Headings | None = None

    @property
    def n_pages(self) -> int | None:
        """Number of pages of all parts together, or None if no part has pages."""
        return sum(len(part.pages.starts) for part in self.parts) or None

    @property
    def pages_without_text(self) -> tuple[int, ...]:
        """The pages without text of a document that has no named parts."""
        return self.parts[0].pages.without_text if not self.parts[0].name else ()

    @property
    def file_starts(self) -> tuple[int, ...]:
        """The offset at which each attachment and each file of an archive begins, ascending."""
        return tuple(part.start for part in self.parts if part.begins_file)

    def part_at(self, offset: int) -> Part:
        """Return the part of the character at `offset`; of empty parts that start there, the last."""
        return self.parts[max(0, bisect_right(self.parts, offset, key=lambda p: p.start) - 1)]

    def page_at(self, offset: int) -> int | None:
        """Return the page of the character at `offset`, counted from 1 in its part; None without pages."""
        return self.part_at(offset).pages.at(offset)

    def heading_at(self, offset: int) -> str | None:
        """Return the header of the column of the table cell at `offset`; None outside tables."""
        return self.headings.at(offset) if self.headings else None

    def unread_parts(self) -> list[Part]:
        """Return the parts that were not read."""
        return [part for part in self.parts if part.problem]

    def coverage(self, n_characters: int) -> dict[str, object]:
        """Return the entries of a scan's coverage block about pages and parts."""
        whole = self.parts[0].pages if not self.parts[0].name else Pages()
        ends = [*(part.start for part in self.parts[1:]), n_characters]
        return {
            "pages": self.n_pages,
            "pages_without_text": list(whole.without_text),
            "pages_by_ocr": list(whole.by_ocr),
            "parts": [
                {
                    "name": part.name,
                    "characters": end - part.start,
                    "pages": len(part.pages.starts) or None,
                    "pages_without_text": list(part.pages.without_text),
                    "pages_by_ocr": list(part.pages.by_ocr),
                    "problem": part.problem,
                }
                for part, end in zip(self.parts, ends, strict=True)
                if part.name
            ],
        }
