"""The sample of sentences without a finding that reviewers judge, so that recall can be estimated.

A hash decides which sentences are drawn: each with the same probability, and the same ones whenever the
document is scanned again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from db.tables import StoredText
from service.nlp.document import Document
from service.nlp.pipeline import ScanResult


@dataclass(frozen=True, slots=True)
class Sample:
    """The sentences drawn from `n_unflagged`, as rows without a scan; None if a scan has no sample."""

    n_unflagged: int | None = None
    rows: tuple[dict[str, Any], ...] = ()


def draw_sample(result: ScanResult, document: Mapping[str, Any], *, share: float) -> Sample:
    """Draw each sentence without a finding with probability `share`; `document` is the stored row.

    A sentence that a document repeats counts once, and one without letters not at all. Only documents with
    stored text have a sample, which quotes them, and only scans by the model at balanced sensitivity that
    report all findings: others miss risks on purpose.
    """
    analysis = result.analysis
    is_whole = len(result.findings()) == len(analysis.findings)
    is_typical = analysis.source == "model" and result.sensitivity == "balanced" and is_whole
    if not (share and is_typical and document["text_stored"] == StoredText.FULL):
        return Sample()
    rows: list[dict[str, Any]] = []
    n_unflagged = 0
    flagged = {finding.context for finding in analysis.findings}
    for context, (start, end) in _distinct(result.document).items():
        if context in flagged or not any(map(str.isalpha, context)):
            continue
        n_unflagged += 1
        draw = _draw(document["id"], context)
        if draw < share:
            rows.append(
                {"n": len(rows) + 1, "start": start, "end": end, "context": context, "draw": draw}
            )
    return Sample(n_unflagged, tuple(rows))


def _distinct(document: Document) -> dict[str, tuple[int, int]]:
    """Return the span of the first of equal sentences, in document order."""
    spans: dict[str, tuple[int, int]] = {}
    for sentence in document.sentences:
        context = document.text[sentence.start : sentence.end]
        spans.setdefault(context, (sentence.start, sentence.end))
    return spans


def _draw(document_id: UUID, context: str) -> float:
    """Return a number in [0, 1) that looks random, the same for the same sentence of a document."""
    digest = hashlib.blake2b(context.encode(), digest_size=6, key=document_id.bytes).digest()
    return int.from_bytes(digest, "big") / 2**48
