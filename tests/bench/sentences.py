"""What the benchmarks scan: the authored sentences, without end and without repetition.

A sentence that was seen before may be answered from memory, so none is sent twice: after the last authored
one come the same again with their last words exchanged, which changes neither lengths nor words.
"""

import json
import random
import re
from functools import cache
from itertools import count

from service.config.settings import ROOT
from service.nlp.extraction.extractor import extract_text
from service.nlp.segmentation.segmenter import Segmenter

SENTENCES_PER_DOCUMENT = 100
_SENTENCES_PER_PARAGRAPH = 5
_SEED = 20261121
_ENDS = re.compile(r"[.!?]['\")]?$")
_ENDS_INSIDE = re.compile(r"[.!?]['\")]?\s|\n")


@cache
def authored():
    """Return the different authored sentences of four words and more, shuffled."""
    lines = (
        line
        for path in sorted((ROOT / "ml" / "data").glob("authored-*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    texts = dict.fromkeys(json.loads(line)["text"].strip() for line in lines)
    kept = [t for t in texts if len(t.split()) >= 4 and not _ENDS_INSIDE.search(t)]
    random.Random(_SEED).shuffle(kept)
    return tuple(kept)


def endless():
    """Yield different sentences for as long as anybody asks."""
    texts, seen = authored(), set()
    words = [text.rsplit(" ", 1) for text in texts]
    for shift in count():
        for i, (head, _) in enumerate(words):
            sentence = f"{head} {words[(i + shift) % len(words)][1]}"
            if sentence not in seen:
                seen.add(sentence)
                yield sentence


def numbered(n, *, start=0):
    """Return n different sentences of the same mix whatever n is: authored ones that end in a number."""
    texts, numbers = authored(), range(start, start + n)
    return [f"{texts[i % len(texts)].rstrip('.!?')} ({i:07})." for i in numbers]


class Documents:
    """Makes documents of a stream of sentences, each of which the service finds again as it was."""

    def __init__(self, sentences):
        self._sentences = sentences
        self._segmenter = Segmenter()

    def next(self, n_sentences=SENTENCES_PER_DOCUMENT):
        """Return the next document's text and sentences: paragraphs of up to five."""
        paragraphs, kept = [], []
        while len(kept) < n_sentences:
            sentences = self._paragraph(min(_SENTENCES_PER_PARAGRAPH, n_sentences - len(kept)))
            text = " ".join(sentences)
            if self._found(text) == sentences:
                paragraphs.append(text)
                kept += sentences
        return "\n\n".join(paragraphs), kept

    def _paragraph(self, longest):
        """Return the next sentences; one without a full stop ends its paragraph."""
        taken = []
        for sentence in self._sentences:
            taken.append(sentence)
            if len(taken) == longest or not _ENDS.search(sentence):
                return taken
        return taken

    def _found(self, text):
        extracted = extract_text(text, max_chars=len(text))
        return self._segmenter.segment(extracted).sentence_texts()
