"""Text in a PDF: breaks it into lines by widths that are looked up once for each character, and draws it.

fpdf2's `multi_cell` measures the whole line again with each character, which took nine tenths of a report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from fpdf import FPDF
from fpdf.fonts import TTFFont

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_SOFT_HYPHEN = "\N{SOFT HYPHEN}"
_PIECE = re.compile(r" |[^ ]+")
_BASELINE = 0.3
"""Where letters stand below the middle of a line, in heights of the font; as fpdf2's cells."""


class Lines:
    """Breaks and draws text in the first of some fonts that has each character.

    `n_replaced` counts the characters that no font has; they are drawn as replacement characters.
    """

    def __init__(self, pages: FPDF, fonts: Sequence[Path], *, family: str) -> None:
        """Add the font files to `pages` as `family`, and others for the characters that it lacks."""
        self.n_replaced = 0
        self._pages = pages
        self._family = family
        self._fonts: dict[str, TTFFont] = {}
        for number, path in enumerate(fonts):
            name = f"{family}{number or ''}"
            pages.add_font(name, "", path)
            self._fonts[name] = pages.fonts[name]  # type: ignore[assignment]  # add_font adds TrueType only
        self._own: set[str] = set()  # characters that the first font has, of those seen so far
        self._families: dict[str, str | None] = {}
        self._widths: dict[str, float] = {}  # in heights of the font
        self._learn(_REPLACEMENT)

    def drawable(self, text: str) -> str:
        """Return a text as one line, with a replacement for each character that no font has.

        fpdf2 would log those, and a log must not quote documents.
        """
        line = " ".join(text.replace(_SOFT_HYPHEN, "").split())
        chars = {*line}
        if chars <= self._own:
            return line
        for char in chars - self._families.keys():
            self._learn(char)
        for char in chars:
            if self._families[char] is None:
                self.n_replaced += line.count(char)
                line = line.replace(char, _REPLACEMENT)
        return line

    def width_mm(self, text: str, size_pt: float) -> float:
        """Return the width of a drawable text."""
        return self._measured(text) * size_pt / self._pages.k

    def broken(self, text: str, size_pt: float, room_mm: float) -> Iterator[str]:
        """Yield a drawable text as lines of at most `room_mm`; a longer word is divided."""
        room, line, used = room_mm * self._pages.k / size_pt, "", 0.0
        for piece in _PIECE.findall(text):
            width = self._measured(piece)
            if line and piece != " " and used + width > room:
                yield line.rstrip(" ")
                line, used = "", 0.0
            if width > room:
                *full, line = self._divided(piece, room)
                yield from full
                used = self._measured(line)
            elif line or piece != " ":
                line, used = line + piece, used + width
        if line:
            yield line.rstrip(" ")

    def draw(self, line: str, *, size_pt: float, height_mm: float, x_mm: float) -> None:
        """Draw a drawable line of this height at the current height of the page."""
        pages = self._pages
        baseline_mm = pages.y + height_mm / 2 + _BASELINE * size_pt / pages.k
        for family, run in self._runs(line):
            pages.set_font(family, "", size_pt)
            pages.text(x_mm, baseline_mm, run)
            x_mm += self.width_mm(run, size_pt)

    def _measured(self, text: str) -> float:
        """Return the width of a drawable text in heights of the font."""
        return sum(map(self._widths.__getitem__, text))

    def _divided(self, word: str, room: float) -> list[str]:
        """Divide a word into parts of up to `room` heights of the font, behind hyphens where it has some."""
        parts, part, used = [], "", 0.0
        for char in word:
            if part and used + self._widths[char] > room:
                end = part.rfind("-") + 1 or len(part)
                parts.append(part[:end])
                part = part[end:]
                used = self._measured(part)
            part += char
            used += self._widths[char]
        return [*parts, part]

    def _runs(self, line: str) -> Iterator[tuple[str, str]]:
        """Return the parts of a line with one font each, as pairs of family and text."""
        if self._own.issuperset(line):
            yield self._family, line
            return
        for family, chars in groupby(line, self._families.__getitem__):
            yield family or self._family, "".join(chars)

    def _learn(self, char: str) -> None:
        """Look up the first font that has a character."""
        self._families[char] = None
        for family, font in self._fonts.items():
            if ord(char) in font.cmap:
                self._families[char] = family
                self._widths[char] = font.get_text_width(char, 1, None)[1]
                break
        if self._families[char] == self._family:
            self._own.add(char)
