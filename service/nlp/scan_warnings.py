"""Warnings of a scan: what of the document was not read, in words that name each place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from service.nlp.language import Languages
from service.nlp.layout import Layout, Part

MIN_UNREAD_SHARE = 0.1
"""A scan has a warning if at least this share of the text is in languages that the analyzer cannot read."""
_MOST_PLACES = 5
"""Places that a warning names; the coverage has all of them."""
_MOST_NAME_CHARS = 80
_OCR = {
    False: "Run text recognition (OCR) on the document first, or ask the operator to set OCR=on.",
    True: "Text recognition (OCR) found no word there.",
}


@dataclass(frozen=True, slots=True)
class ScanWarning:
    """A limitation of a result: a stable code, and a message without sentences of the document."""

    code: str
    message: str


def coverage_warnings(layout: Layout, *, has_ocr: bool) -> Iterator[ScanWarning]:
    """Yield a warning for parts that were not read, and one for pages without text."""
    if unread := layout.unread_parts():
        files = "file in the document is" if len(unread) == 1 else "files in the document are"
        named = " ".join(f"{_short(part)}: {part.problem}" for part in unread[:_MOST_PLACES])
        more = len(unread) - _MOST_PLACES
        yield ScanWarning(
            "parts_not_read",
            f"{len(unread):,} {files} not read, so risks there are missed. {named}"
            f"{f' {more:,} more are not named here.' if more > 0 else ''}",
        )
    pages = [
        f"page {page}{' of ' + _short(part) if part.name else ''}"
        for part in layout.parts
        for page in part.pages.without_text
    ]
    if pages:
        yield ScanWarning(
            "pages_not_read",
            f"No text on {_listed(pages)}: what is shown there is not read, so risks there are missed. "
            f"{_OCR[has_ocr]}",
        )


def language_warnings(languages: Languages, readable: Set[str] | None) -> Iterator[ScanWarning]:
    """Yield a warning if too much of the text is in languages other than `readable`."""
    if readable is None or not languages.shares:
        return
    unread = 1 - languages.total_share(readable)
    if unread >= MIN_UNREAD_SHARE:
        codes = ", ".join(f"'{code}'" for code in sorted(readable))
        others = [code for code in languages.shares if code not in readable]
        yield ScanWarning(
            "language_not_read",
            f"About {unread:.0%} of the text is in a language that the model does not read (mostly "
            f"'{others[0]}'; it reads {codes}), so risks there are missed. "
            "Scan a translation, or use the LLM (force_llm) if one that reads it is configured.",
        )


def _short(part: Part) -> str:
    """Return the part's name, its beginning left out if it is long."""
    name = part.name
    return name if len(name) <= _MOST_NAME_CHARS else f"...{name[3 - _MOST_NAME_CHARS :]}"


def _listed(places: Sequence[str]) -> str:
    shown = ", ".join(places[:_MOST_PLACES])
    more = len(places) - _MOST_PLACES
    return f"{shown}, and {more:,} more" if more > 0 else shown
