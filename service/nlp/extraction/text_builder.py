"""Collects the text of a document block by block. Imports only errors, so that the sandbox starts fast."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from service.errors import TooLarge
from service.nlp.extraction.inflation import InflationBudget

MAX_BLOCKS = 1_000_000
"""Most blocks in a document. Each takes 40 bytes in the service and a few microseconds to read."""
MAX_PARTS = 2_000
"""Most sheets, slides, attachments and files of an archive in a document."""
MAX_PICTURE_BYTES = 67_108_864
"""Total size of the PDFs that are kept for OCR."""
MAX_NAME_CHARS = 100
"""A longer name of a part, and a longer heading, is cut."""
PART_SEPARATOR = " > "
NO_HEADING = -1
_MAX_PROBLEM_CHARS = 300

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_NOT_SHOWN = re.compile("[\x00-\x20\x7f-\xa0\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+")


def storable(text: str) -> str:
    """Replace each NUL and lone surrogate by U+FFFD: offsets stay valid, and every database accepts it."""
    return _UNSTORABLE.sub("\ufffd", text)


def label(text: str, *, max_chars: int = MAX_NAME_CHARS) -> str:
    """Return a name on one line, cut, without characters that drive a terminal or turn the line around."""
    name = _NOT_SHOWN.sub(" ", storable(text[: 4 * max_chars])).strip()
    return name if len(name) <= max_chars else name[: max_chars - 1] + "\u2026"


def check_chars(n_chars: int, max_chars: int) -> None:
    """Raise TooLarge if a text of `n_chars` characters exceeds the limit."""
    if n_chars > max_chars:
        raise TooLarge(
            f"The text is longer than {max_chars:,} characters. Send it in parts, or ask the "
            "operator to raise MAX_TEXT_CHARS."
        )


@dataclass(slots=True)
class PartRecord:
    """A part under construction; see layout.Part and layout.Pages."""

    name: str
    start: int = 0
    page_starts: list[int] = field(default_factory=list)
    pages_without_text: list[int] = field(default_factory=list)
    problem: str | None = None
    begins_file: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the fields as values of JSON."""
        return asdict(self)


class TextBuilder:
    """A document's text under construction.

    `offsets` holds the start and end of each block, in turn. `heading_rows` is empty, or holds for each block
    the row of its heading in `headings`. `inflation` is spent by every zip that is read. `containers` has the
    names of the files within which the current one is. With `keeps_pictures`, `pictures` gets each PDF within
    another file that has pages without text, so that OCR can read them.
    """

    def __init__(self, max_chars: int, *, keeps_pictures: bool = False) -> None:
        self.keeps_pictures = keeps_pictures
        self.pictures: list[tuple[PartRecord, bytes]] = []
        self.offsets = array("q")
        self.heading_rows = array("i")
        self.headings: dict[str, int] = {}
        self.parts = [PartRecord("")]
        self.inflation = InflationBudget()
        self.containers: list[str] = []
        self._max_chars = max_chars
        self._texts: list[str] = []
        self._length = 0
        self._is_full = False

    @property
    def is_over_a_limit(self) -> bool:
        """Whether the document as a whole exceeds a limit, so that no further part can be read."""
        return self._is_full or self.inflation.is_spent

    def check_room(self, n_chars: int) -> None:
        """Raise TooLarge if `n_chars` more characters exceed the limit."""
        self._is_full |= self._length + n_chars > self._max_chars
        check_chars(self._length + n_chars, self._max_chars)

    def add(self, text: str, *, skip: int = 0, separator: str = "\n") -> None:
        """Add text and a separator; the text from `skip` on is one block."""
        self.add_blocks(text, [(skip, len(text))], separator=separator)

    def add_blocks(
        self,
        text: str,
        spans: Iterable[tuple[int, int]],
        *,
        separator: str = "\n",
        headings: Iterable[int] = (),
    ) -> None:
        """Add text with the blocks at `spans`, which are offsets into `text`, and a separator.

        `headings` is empty, or holds a result of `heading_row`, or NO_HEADING, for each of `spans`.

        Raises:
            TooLarge: the text exceeds its limit, or there are more than MAX_BLOCKS blocks.
        """
        start = self._length
        self._append(storable(text), separator)
        for a, b in spans:
            self.offsets.append(start + a)
            self.offsets.append(start + b)
        if self.headings:
            self.heading_rows.extend(headings)
            n_missing = len(self.offsets) // 2 - len(self.heading_rows)
            self.heading_rows.extend([NO_HEADING] * n_missing)
        if len(self.offsets) > 2 * MAX_BLOCKS:
            self._is_full = True
            raise TooLarge(
                f"The document has more than {MAX_BLOCKS:,} paragraphs and table cells, the limit. "
                "Send it in parts."
            )

    def heading_row(self, heading: str) -> int:
        """Return the row of a heading in `headings`, which it joins if it is new."""
        if not self.headings:  # the blocks so far have none
            self.heading_rows = array("i", [NO_HEADING]) * (len(self.offsets) // 2)
        return self.headings.setdefault(label(heading), len(self.headings))

    def extend_last(self, text: str, *, mark: Callable[[], None], glue: str) -> None:
        """Continue the last block; `glue` replaces its separator. Calls `mark` where `text` begins."""
        self._length -= len(self._texts[-1])
        self._texts[-1] = self._texts[-1][:-1] + glue
        self._length += len(self._texts[-1])
        mark()
        self._append(storable(text), "\n")
        self.offsets[-1] = self._length - 1

    def drop_last_character(self) -> None:
        """Remove the last character of the last block, such as a hyphen at the end of a page."""
        self._texts[-1] = self._texts[-1][:-2] + self._texts[-1][-1]
        self._length -= 1
        self.offsets[-1] -= 1

    def begin_page(self) -> None:
        """Record that a page of the current part begins with the next character."""
        self.parts[-1].page_starts.append(self._length)

    def part_name(self, name: str) -> str:
        """Return the whole name of a part within the container that is being read."""
        return PART_SEPARATOR.join([*self.containers, label(name) or "(no name)"])

    def begin_part(
        self, name: str, *, problem: str | None = None, begins_file: bool = False
    ) -> None:
        """Record that a part begins with the next character; `problem` says why it is not read.

        `begins_file` says that the part is another file than the text before it.

        Raises:
            TooLarge: there are more than MAX_PARTS parts.
        """
        if len(self.parts) > MAX_PARTS:
            self._is_full = True
            raise TooLarge(
                f"The document has more than {MAX_PARTS:,} sheets, slides, attachments and files, the limit. "
                "Send it in parts."
            )
        if problem is not None:
            problem = label(problem, max_chars=_MAX_PROBLEM_CHARS)
        self.parts.append(PartRecord(name, self._length, problem=problem, begins_file=begins_file))

    def checkpoint(self) -> tuple[int, ...]:
        """Return a point to which `roll_back` can return."""
        return (len(self.offsets), len(self.parts), len(self._texts), self._length)

    def roll_back(self, point: tuple[int, ...]) -> None:
        """Remove what was added since a checkpoint; blocks before it are unchanged."""
        n_offsets, n_parts, n_texts, self._length = point
        del self.offsets[n_offsets:], self.parts[n_parts:], self._texts[n_texts:]
        del self.heading_rows[n_offsets // 2 :]

    def keep_picture(self, data: bytes) -> None:
        """Keep a PDF of the current part for OCR, if there is room and it is within another file."""
        n_kept = sum(len(kept) for _, kept in self.pictures)
        if self.keeps_pictures and self.containers and n_kept + len(data) <= MAX_PICTURE_BYTES:
            self.pictures.append((self.parts[-1], data))

    def kept_pictures(self) -> list[tuple[int, bytes]]:
        """Return the kept PDFs with the number of their part, from 0, in order."""
        rows = {id(part): n for n, part in enumerate(self.parts)}
        return [(rows[id(part)], data) for part, data in self.pictures if id(part) in rows]

    def is_empty_since(self, point: tuple[int, ...], *, part: int) -> bool:
        """Return whether `part`, begun at a checkpoint, has no block, inner part or picture for OCR."""
        is_picture = any(kept is self.parts[part] for kept, _ in self.pictures)
        is_last = len(self.parts) == part + 1
        return len(self.offsets) == point[0] and is_last and not is_picture

    def drop_part_if_empty(self, at: int) -> None:
        """Remove part number `at` if the next one begins at its start, so that it holds nothing itself."""
        following = self.parts[at + 1 : at + 2]
        if following and following[0].start == self.parts[at].start:
            following[0].begins_file |= self.parts[at].begins_file
            del self.parts[at]

    def end_line(self) -> None:
        """Add a line break unless the text ends with one."""
        if self._texts and not self._texts[-1].endswith("\n"):
            self._append("", "\n")

    def _append(self, text: str, separator: str) -> None:
        self.check_room(len(text))
        self._texts.append(text + separator)
        self._length += len(text) + len(separator)

    def text(self) -> str:
        """Return all text added so far."""
        return "".join(self._texts)
