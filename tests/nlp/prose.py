"""Harmless prose, composed for the tests, and documents made of it."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import deque
from itertools import accumulate

from service.nlp.document import Block, ExtractedText

RISK = "Project has tight budget and aggressive deadline."

HARMLESS = (
    "The pump house serves the northern district.",
    "It was built in 1987 and repainted in spring.",
    "Minutes of each meeting are kept in the shared folder.",
    "The report has four chapters and two annexes.",
    "Lunch is served at noon in the main hall.",
    "The API returns a list of stations as JSON.",
    "Each chapter opens with a short summary.",
    "The second floor holds the library and the archive.",
    "Visitors sign the book at the front desk.",
    "The survey was sent to all residents in March.",
    "Table 3 lists the stations by name.",
    "The map on page 4 shows the river and both bridges.",
)


def extracted(*paragraphs: str) -> ExtractedText:
    """Return paragraphs as extraction hands them on: one block each, a blank line between."""
    blocks, offset = [], 0
    for paragraph in paragraphs:
        blocks.append(Block(offset, offset + len(paragraph)))
        offset += len(paragraph) + 2
    return ExtractedText("\n\n".join(paragraphs), tuple(blocks))


def filler(n_chars: int) -> list[str]:
    """Return harmless sentences, each another, of about `n_chars` in all."""
    sentences: list[str] = []
    size = 0
    while size < n_chars:
        base = HARMLESS[len(sentences) % len(HARMLESS)]
        sentences.append(f"On day {len(sentences) + 1}, {base[0].lower()}{base[1:]}")
        size += len(sentences[-1])
    return sentences


def planted(n_chars: int, seed: int) -> ExtractedText:
    """Return about `n_chars` of harmless prose with RISK at the sentence end next to a random character.

    No sentence stands in it twice. The sentences of a paragraph stand apart by a space, two spaces or a
    line break.
    """
    rng = random.Random(seed)
    sentences, at = filler(n_chars), rng.randint(0, n_chars)
    ends = [0, *accumulate(map(len, sentences))]
    sentences.insert(bisect_left(ends, at), RISK)
    paragraphs, rest = [], deque(sentences)
    while rest:
        size = min(len(rest), rng.randint(1, 60))
        joint = rng.choice((" ", "\n", "  "))
        paragraphs.append(joint.join(rest.popleft() for _ in range(size)))
    return extracted(*paragraphs)
