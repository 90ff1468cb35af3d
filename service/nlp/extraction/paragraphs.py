"""Finds paragraphs in lines of text: plain text, Markdown, table cells and PDF pages.

Three rules apply. A marker (bullet, number, heading, table row) begins a block; a blank line ends one. A line
break is deliberate, and ends a block, if the next word would have fit on the line. A run of lines in which
most breaks are deliberate is a list with one statement per line. A dash or number with which a wrapped
sentence begins a line is no marker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, takewhile

from service.nlp.span import Span, trimmed

_BULLET = r"(?:[-*+\u2022\u25e6\u25aa\u2023\u25cf\u25cb\u25a0\u25a1\u2013\u2014\u00b7\uf0b7]\s+)"
_COUNT = r"(?:\d{1,3}|[a-z]|[ivx]{1,5})"
_LETTERED = r"(?:(?P<letter>[a-z])(?P=letter){1,3}|\d{1,3}[a-z]|[a-z]\d{1,2})"  # aa, 1a, a1
_NUMBER = rf"(?:{_COUNT}[.)]\s+|\((?:{_COUNT}|{_LETTERED})\)\s+)"
# No two quantifiers over spaces are adjacent, so a megabyte of spaces takes linear time.
_MARKER = re.compile(rf"\s*(?:>\s*)*(?:{_BULLET}|{_NUMBER})(?:\[[ xX]\]\s+)?")
_HEADING = re.compile(r"\s*#{1,6}\s+")
_SECTION = re.compile(r"\s*\d{1,2}(?:\.\d{1,2})+\.?\s+[A-Z]")
_FENCE = re.compile(r"\s*(?:`{3,}+|~{3,}+)[ \t]*+([^\s`~]*+)\s*+")  # and at most a language name
_CELL = re.compile(r"(?:\\\||[^|])+")
_QUOTED = re.compile(r"\s*(?:>\s?)+")
SENTENCE_END = re.compile(r"[.!?:;][\"'\u201d\u2019)\]]*$")
_INNER_DASH = re.compile(r"\s*[-\u2013\u2014]\s+[a-z]")
_INNER_NUMBER = re.compile(rf"\s*(?!\(?[1ai][.)])\(?{_COUNT}[.)]\s")  # a list begins with 1, a or i
_BEFORE_NUMBER = re.compile(
    r"(?:[a-z,]|January|February|March|April|May|June|July|August|September|October|November|December)$"
)
MIN_WRAP_WIDTH = 40  # characters; prose is not wrapped at fewer


def marker_end(line: str) -> int | None:
    """Return where the words after a bullet or number begin, or None without a marker."""
    if _SECTION.match(line):
        return 0  # the number of a section belongs to its heading
    match = _MARKER.match(line)
    return match.end() if match and match.end() < len(line) else None


def continues_sentence(above: str, line: str, below: Iterable[str]) -> bool:
    """Return whether `line` begins with a dash or number of the sentence that was wrapped after `above`.

    Such as "12. After that" below "by the end of December". `above` is prose, and `below` has the lines after
    `line`. It is a list if one before the next blank line has a marker too, or the first after that the same.
    """
    if _INNER_DASH.match(line):
        is_open = SENTENCE_END.search(above.rstrip()) is None
    else:
        is_open = bool(_INNER_NUMBER.match(line) and _BEFORE_NUMBER.search(above.rstrip()))
    rest = iter(below)
    if not is_open or any(marker_end(other) is not None for other in takewhile(str.strip, rest)):
        return False
    return first_word(next(filter(str.strip, rest), "")) != first_word(line)


def first_word(line: str) -> str:
    """Return the first word of a line, or "" for a blank line."""
    return next(iter(line.split(None, 1)), "")


def is_break(line: str, *, wraps: bool, filled: float) -> bool:
    """Return whether `line` begins a new block.

    `wraps`: whether its first word would not have fit on the line above. `filled`: the width of that line
    relative to the widest, in [0, 1].
    """
    if line.lstrip()[:1].islower():
        return not wraps and filled < 0.6
    return not wraps


def find_blocks(text: str) -> list[Span]:
    """Return the trimmed blocks of `text` in order, without those that have no letter or digit."""
    if text.isalnum() or not text.strip():  # most table cells: a word, a number, nothing
        return [(0, len(text))] if text.strip() else []
    return _with_words(text, _blocks(text, is_markdown=False))


def find_markdown_blocks(text: str) -> list[Span]:
    """Return the blocks of Markdown: those that `find_blocks` finds, and each line of fenced code."""
    return _with_words(text, _blocks(text, is_markdown=True))


def _with_words(text: str, blocks: Iterable[Span]) -> list[Span]:
    spans = [trimmed(text, *span) for span in blocks]
    return [(a, b) for a, b in spans if any(c.isalnum() for c in text[a:b])]


def _blocks(text: str, *, is_markdown: bool) -> Iterator[Span]:
    run: list[Span] = []
    skip, offset, fenced = 0, 0, False
    lines = text.splitlines(keepends=True)
    for i, line in enumerate(lines):
        span = (offset, offset + len(line))
        offset = span[1]
        own = _own_block(span, line, fenced=fenced)
        fence = _FENCE.fullmatch(line)
        if fence and (is_markdown or not fence[1]):
            own = own or [(span[0] + fence.start(1), span[0] + fence.end(1))]
            fenced ^= is_markdown
        marker = None if own is not None else marker_end(line)
        is_item = is_markdown and line.lstrip().startswith("-")
        if marker and run and not is_item and _is_wrapped(lines, i, len(run)):
            marker = None
        if own is not None or marker is not None:
            yield from _split_run(text, run, skip)
            run, skip = [], 0
        if own is not None:
            yield from own
        else:
            run.append(span)
            skip = marker if marker is not None else skip
    yield from _split_run(text, run, skip)


def _is_wrapped(lines: Sequence[str], at: int, n_above: int) -> bool:
    """Return whether line `at`, which has a marker, continues a sentence of the `n_above` lines above."""
    if marker_end(lines[at - n_above]) is not None:
        return False
    *others, above, line = (other.rstrip() for other in lines[at - n_above : at + 1])
    room = len(above) + 1 + len(first_word(line))
    if len(above) < MIN_WRAP_WIDTH or room <= max(map(len, [line, *others])):
        return False
    return continues_sentence(above, line, (lines[k] for k in range(at + 1, len(lines))))


def _own_block(span: Span, line: str, *, fenced: bool) -> list[Span] | None:
    """Return the blocks of a line that is no part of a paragraph, or None for one that is."""
    start, end = span
    if not line.strip():
        return []
    if fenced:
        return [span]
    if heading := _HEADING.match(line):
        return [(start + heading.end(), end)]
    if line.lstrip().startswith("|"):
        return [(start + m.start(), start + m.end()) for m in _CELL.finditer(line)]
    quoted = _QUOTED.match(line)
    if quoted and not line[quoted.end() :].strip():
        return []
    return None


def _split_run(text: str, run: Sequence[Span], skip: int) -> Iterator[Span]:
    if not run:
        return
    if len(run) == 1:
        yield run[0][0] + (skip or _quote_end(text[slice(*run[0])])), run[0][1]
        return
    lines = [text[a:b].rstrip() for a, b in run]
    start = run[0][0] + (skip or _quote_end(lines[0]))
    for i, broken in enumerate(run_breaks(lines), start=1):
        if broken:
            yield start, run[i - 1][1]
            start = run[i][0] + _quote_end(lines[i])
    yield start, run[-1][1]


def _quote_end(line: str) -> int:
    match = _QUOTED.match(line)
    return match.end() if match else 0


def run_breaks(lines: Sequence[str]) -> list[bool]:
    """Return for each line but the first whether it begins a block; measures widths in characters."""
    width = max(map(len, lines))
    wraps = [
        width >= MIN_WRAP_WIDTH and len(above) + 1 + len(first_word(line)) > width
        for above, line in pairwise(lines)
    ]
    is_list = sum(wraps) * 2 < len(wraps)
    return [
        is_break(
            line, wraps=wrap and not (is_list and not _is_lower(line)), filled=len(above) / width
        )
        for wrap, above, line in zip(wraps, lines, lines[1:], strict=False)
    ]


def _is_lower(line: str) -> bool:
    return line.lstrip()[:1].islower()
