"""Archives of short documents, different from each other, as JSON lines."""

import json
import random
from collections.abc import Iterator
from itertools import islice

from tests.bench.sentences import authored

SHORTEST, LONGEST = 5, 20
"""Sentences in a document."""


def recurring():
    """Yield authored sentences in random order without end: they come again, as boilerplate does."""
    chance, texts = random.Random(20261123), authored()
    while True:
        yield chance.choice(texts)


def documents(n: int, sentences: Iterator[str]):
    """Yield n documents with an id; each begins with its own number and has 5 to 20 `sentences`."""
    chance = random.Random(n)
    for i in range(n):
        body = islice(sentences, chance.randint(SHORTEST, LONGEST))
        yield {"id": f"document-{i:07}", "text": f"Document {i}.\n\n" + " ".join(body)}


def write_archive(path, n, sentences=None):
    """Write n documents to a file; by default of recurring sentences. Returns the path."""
    with path.open("w", encoding="utf-8") as file:
        for document in documents(n, sentences or recurring()):
            file.write(json.dumps(document) + "\n")
    return path
