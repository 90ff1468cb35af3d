"""Harmless prose, composed for the tests, and documents made of it."""

from __future__ import annotations

import random

from service.nlp.analyzer import Block, ExtractedText

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


def planted(n_chars: int, seed: int) -> ExtractedText:
    """Return about `n_chars` of harmless prose with RISK at one random sentence boundary."""
    rng = random.Random(seed)
    sentences = rng.choices(HARMLESS, k=max(1, n_chars // 46))
    sentences.insert(rng.randint(0, len(sentences)), RISK)
    paragraphs, rest = [], sentences
    while rest:
        size = rng.randint(1, 60)
        paragraphs.append(rng.choice((" ", "\n", "  ")).join(rest[:size]))
        rest = rest[size:]
    return extracted(*paragraphs)
