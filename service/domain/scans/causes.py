"""Why a finding is new or gone: another document, another model, or another way to select findings."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from itertools import accumulate

from db.tables import Scan
from service.domain.scans.fingerprints import normalized
from service.nlp.document import ExtractedText
from service.nlp.segmentation.segmenter import Segmenter


class Cause(StrEnum):
    """Why only one of two scans has a finding."""

    DOCUMENT = "document"
    """The other scan's document lacks the sentence."""
    MODEL = "model"
    """Another model, or another version of it, read the same sentence."""
    SENSITIVITY = "sensitivity"
    """The same model read it at another operating point."""
    OTHER = "other"
    """Neither differs: thresholds in the user's settings changed, or an LLM answered differently."""


def analysis_cause(scan: Scan, since: Scan) -> Cause:
    """Return the cause for a sentence that both documents have."""
    if model_of(scan) != model_of(since):
        return Cause.MODEL
    return Cause.SENSITIVITY if scan.sensitivity != since.sensitivity else Cause.OTHER


def model_of(scan: Scan) -> tuple[str, str, str]:
    """Return source, name and version of what analyzed a scan."""
    return scan.source, scan.model_name, scan.model_version


def count_sentences(
    extracted: ExtractedText, wanted: Collection[str], segmenter: Segmenter
) -> Mapping[str, int]:
    """Return how often a text has each of some normalized sentences.

    Segments only the blocks that contain one of them: segmentation takes ten times as long as this search.
    """
    text = extracted.text
    contents = [normalized(text[block.start : block.end]) for block in extracted.blocks]
    starts = [0, *accumulate(len(content) + 1 for content in contents)]
    whole = "\n".join(contents)
    numbers = {
        bisect_right(starts, at) - 1 for sentence in wanted for at in _occurrences(whole, sentence)
    }
    blocks = [extracted.blocks[number] for number in sorted(numbers)]
    document = segmenter.segment(ExtractedText(text, blocks))
    found = (normalized(text[s.start : s.end]) for s in document.sentences)
    return Counter(sentence for sentence in found if sentence in wanted)


def _occurrences(text: str, sentence: str) -> Iterator[int]:
    at = text.find(sentence)
    while at >= 0:
        yield at
        at = text.find(sentence, at + len(sentence))
