"""Scores and decisions of any Analyzer over labelled sentences, computed as the service does."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml.corpus.dataset import Example
from ml.corpus.reading_order import by_document, score_documents
from service.nlp.analyzers.base import Analyzer, SentenceScorer
from service.nlp.arrays import Bools, Floats
from service.nlp.artifacts.operating_points import SENSITIVITIES, Sensitivity
from service.nlp.deadline import Deadline
from service.nlp.document import Document, Finding, Sentence
from service.nlp.taxonomy import Taxonomy

_SEPARATOR = "\n\n"


@dataclass(frozen=True, slots=True, eq=False)
class ExampleResults:
    """An analyzer's scores and decisions for n sentences, and how long all took.

    `scores` is float32 (n, n_risk_types), None if the analyzer gives no probabilities; `hits` has
    bool arrays of that shape.
    """

    name: str
    taxonomy: Taxonomy
    scores: Floats | None
    hits: Mapping[Sensitivity, Bools]
    duration_s: float


def analyze_examples(
    analyzer: Analyzer,
    examples: Sequence[Example],
    *,
    sensitivities: Sequence[Sensitivity] = (),
    timeout_s: float = 600.0,
) -> ExampleResults:
    """Run `analyzer` over the sentences, document by document, since neighbours influence each other.

    An analyzer that gives probabilities decides at every sensitivity; any other at `sensitivities`
    (default: balanced). `timeout_s` limits each document.

    Raises:
        AnalyzerUnavailable, AnalyzerTimeout, AnalyzerError: as `analyze` does.
    """
    name = f"{analyzer.model_name} {analyzer.model_version}".strip()
    began_s = time.perf_counter()
    if isinstance(analyzer, SentenceScorer) and analyzer.has_probabilities:
        scores = score_documents(analyzer, examples)
        duration_s = time.perf_counter() - began_s
        chosen = sensitivities or SENSITIVITIES
        return ExampleResults(
            name,
            analyzer.taxonomy,
            scores,
            {s: analyzer.decide(scores, s) for s in chosen},
            duration_s,
        )
    hits: dict[Sensitivity, Bools] = {}
    for sensitivity in sensitivities or ("balanced",):
        began_s = time.perf_counter()
        hits[sensitivity] = _decisions(analyzer, examples, sensitivity, timeout_s)
    return ExampleResults(name, analyzer.taxonomy, None, hits, time.perf_counter() - began_s)


def _decisions(
    analyzer: Analyzer, examples: Sequence[Example], sensitivity: Sensitivity, timeout_s: float
) -> Bools:
    columns = analyzer.taxonomy.columns
    hits = np.zeros((len(examples), len(columns)), np.bool_)
    for rows in by_document(examples):
        document = document_from([examples[row].text for row in rows])
        deadline = Deadline.after(timeout_s)
        analysis = analyzer.analyze(document, sensitivity=sensitivity, deadline=deadline)
        for finding in analysis.findings:
            if finding.risk_type is None:
                continue  # a foreign title, without a label
            for k in _sentence_rows(finding, document):
                hits[rows[k], columns[finding.risk_type]] = True
    return hits


def document_from(sentences: Sequence[str]) -> Document:
    """Return a document with each sentence as a paragraph of its own."""
    spans, start = [], 0
    for sentence in sentences:
        spans.append(Sentence(start, start + len(sentence)))
        start += len(sentence) + len(_SEPARATOR)
    return Document(_SEPARATOR.join(sentences), tuple(spans))


def _sentence_rows(finding: Finding, document: Document) -> range:
    """Return the indices of the sentences that a finding overlaps: another service may segment differently.

    Empty if the document does not contain the context.
    """
    if finding.start is None or finding.end is None:
        return range(0)
    starts = [s.start for s in document.sentences]
    first = max(0, bisect_right(starts, finding.start) - 1)
    return range(first, max(first + 1, bisect_left(starts, finding.end)))
