"""The texts of the benchmarks: an endless stream of different sentences.

The service caches scores by sentence, so no sentence is sent twice. After the last authored sentence the
stream repeats them with the last words exchanged, which preserves lengths and vocabulary.
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
    usable = [t for t in texts if len(t.split()) >= 4 and not _ENDS_INSIDE.search(t)]
    random.Random(_SEED).shuffle(usable)
    return tuple(usable)


def endless():
    """Yield different sentences without end."""
    texts, seen = authored(), set()
    words = [text.rsplit(" ", 1) for text in texts]
    for shift in count():
        for i, (head, _) in enumerate(words):
            sentence = f"{head} {words[(i + shift) % len(words)][1]}"
            if sentence not in seen:
                seen.add(sentence)
                yield sentence


def numbered(n, *, start=0):
    """Return n different sentences: authored ones with a number at the end, in the same mix for every n."""
    texts, numbers = authored(), range(start, start + n)
    return [f"{texts[i % len(texts)].rstrip('.!?')} ({i:07})." for i in numbers]


class Documents:
    """Composes documents that the service segments into the same sentences again."""

    def __init__(self, sentences):
        self._sentences = sentences
        self._segmenter = Segmenter()

    def next(self, n_sentences=SENTENCES_PER_DOCUMENT):
        """Return the next document's text and sentences: paragraphs of up to five."""
        paragraphs, used = [], []
        while len(used) < n_sentences:
            sentences = self._paragraph(min(_SENTENCES_PER_PARAGRAPH, n_sentences - len(used)))
            text = " ".join(sentences)
            if self._segmented(text) == sentences:
                paragraphs.append(text)
                used += sentences
        return "\n\n".join(paragraphs), used

    def _paragraph(self, longest):
        """Return up to `longest` sentences; one without a full stop ends the paragraph."""
        paragraph = []
        for sentence in self._sentences:
            paragraph.append(sentence)
            if len(paragraph) == longest or not _ENDS.search(sentence):
                return paragraph
        return paragraph

    def _segmented(self, text):
        extracted = extract_text(text, max_chars=len(text))
        return self._segmenter.segment(extracted).sentence_texts()
