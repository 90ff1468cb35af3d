"""A scan pipeline without extraction and model: lines are sentences, keywords are risks."""

from __future__ import annotations

from collections.abc import Callable

from service.nlp.deadline import Deadline
from service.nlp.document import Analysis, Document, Finding, Sentence, Source
from service.nlp.extraction.extractor import extract_text
from service.nlp.pipeline import ScanResult, Submission
from service.nlp.taxonomy import built_in
from tests.fakes.rules import risk_types

MODEL, VERSION = "rules", "1.0.0"


class RulesPipeline:
    """Scans like ScanPipeline, in microseconds; records the submissions.

    `during_scan` is called within each scan, to stand in for a concurrent request.
    """

    def __init__(self) -> None:
        self.taxonomy = built_in()
        self.submissions: list[Submission] = []
        self.during_scan: Callable[[], object] = lambda: None
        self.source: Source = "model"

    def scan(self, submission: Submission, *, deadline: Deadline | None = None) -> ScanResult:  # noqa: ARG002 - it needs no time
        self.submissions.append(submission)
        self.during_scan()
        extracted = extract_text(self.extract_text(submission), max_chars=10**6)
        document = _document(extracted.text)
        findings = [f for sentence in document.sentences for f in _findings(document, sentence)]
        analysis = Analysis(self.taxonomy, findings, self.source, MODEL, VERSION)
        return ScanResult(
            document,
            analysis,
            submission.sha256(),
            extracted=extracted,
            size_bytes=len(submission.content()),
            sensitivity=submission.sensitivity,
        )

    def extract_text(self, submission: Submission) -> str:
        return submission.content().decode()


def _document(text: str) -> Document:
    sentences, start = [], 0
    for line in text.split("\n"):
        sentences.append(Sentence(start, start + len(line)))
        start += len(line) + 1
    return Document(text, [s for s in sentences if s.end > s.start])


def _findings(document: Document, sentence: Sentence) -> list[Finding]:
    text, span = document.text[sentence.start : sentence.end], (sentence.start, sentence.end)
    return [
        Finding(risk, built_in().category_of(risk), 0.9, text, *span, None)
        for risk in risk_types(text)
    ]
