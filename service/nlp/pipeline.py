"""Documents to findings: a document is read, cut into sentences and analyzed; nothing is stored."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Set
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from service.config.settings import Config
from service.errors import Fault, InvalidRequest, UnreadableDocument, UnsupportedMediaType
from service.nlp.analyzers.base import Analyzer, Progress
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.artifacts.operating_points import Sensitivity
from service.nlp.deadline import Deadline
from service.nlp.document import Analysis, Document, ExtractedText, SentFile
from service.nlp.extraction.extractor import Extractor
from service.nlp.language import LanguageDetector, Languages
from service.nlp.observer import NULL_OBSERVER, Observer, observe_stage
from service.nlp.segmentation.segmenter import Segmenter

LEAST_UNREAD_SHARE = 0.1
"""Least share of a text in languages that the analyzer does not read that causes a warning."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A caller's document: exactly one of `text` and `data` (a file's bytes).

    `caller` is an opaque key; documents of one caller wait for each other, not for other callers'.
    """

    text: str | None = None
    data: bytes | None = None
    filename: str | None = None
    media_type: str | None = None
    force_llm: bool = False
    sensitivity: Sensitivity = "balanced"
    caller: str = ""

    def content(self) -> bytes:
        """Return the bytes of the document as handed in."""
        if self.data is not None:
            return self.data
        return (self.text or "").encode("utf-8", "surrogatepass")

    def sha256(self) -> str:
        """Return the document's sha256 (hex), which identifies it in a scan."""
        return hashlib.sha256(self.content()).hexdigest()

    def file(self) -> SentFile | None:
        """Return the file if it has a name, from which another service can tell its format."""
        if not self.data or not self.filename:
            return None
        return SentFile(self.data, self.filename, self.media_type)

    def fingerprint(self) -> str:
        """Return a sha256 (hex) over all that decides the answer, to recognise a repeated request."""
        parts = [self.filename or "", self.media_type or "", str(self.force_llm), self.sensitivity]
        head = "\0".join([*parts, "text" if self.data is None else "file", ""])
        return hashlib.sha256(head.encode("utf-8", "surrogatepass") + self.content()).hexdigest()


@dataclass(frozen=True, slots=True)
class ScanWarning:
    """A reason to trust a result less: a stable code, and a sentence in ASCII without document text."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ScanResult:
    """A document that was read whole, and what was found in it."""

    document: Document
    analysis: Analysis
    document_sha256: str
    sensitivity: Sensitivity = "balanced"
    languages: Languages = field(default_factory=lambda: Languages({}))
    warnings: tuple[ScanWarning, ...] = ()
    read_s: float = 0.0
    """Time to extract and segment the document and to detect its languages."""
    analyze_s: float = 0.0

    def coverage(self) -> dict[str, Any]:
        """Return the coverage block stored with each scan: counts, languages and warnings."""
        main = self.languages.main
        return {
            **self.document.coverage(),
            "language": main,
            "language_share": None if main is None else round(self.languages.shares[main], 2),
            "warnings": [asdict(warning) for warning in self.warnings],
        }

    def data(self) -> list[dict[str, str]]:
        """Return the findings in the three keys of the older contract, in document order."""
        return [
            {
                "risk": f.risk,
                "category": f.category_title,
                "context": f.context,
            }
            for f in self.analysis.findings
        ]


class ScanPipeline:
    """Reads documents and finds their risks; stores nothing and knows no user."""

    def __init__(
        self,
        config: Config,
        analyzers: AnalyzerPool,
        *,
        observer: Observer = NULL_OBSERVER,
    ) -> None:
        self.analyzers = analyzers
        self._observer = observer
        self._extractor = Extractor(
            max_file_bytes=config.max_file_bytes,
            max_text_chars=config.max_text_chars,
            max_pages=config.max_pages,
            timeout_s=config.extract_timeout_s,
            memory_bytes=config.extract_memory_bytes,
        )
        self._segmenter = Segmenter()
        self._detector = LanguageDetector()
        self._timeout_s = config.ai_timeout_s

    def scan(
        self,
        submission: Submission,
        *,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> ScanResult:
        """Extract, segment and analyze one document, all with the same analyzer.

        The whole scan ends by `deadline`; the default is AI_TIMEOUT_S from now.

        Raises:
            InvalidRequest, UnreadableDocument, UnsupportedMediaType, TooLarge: the document.
            NotConfigured: `force_llm` without an LLM.
            AnalyzerTimeout: the deadline passed.
            AnalyzerUnavailable, AnalyzerError, Overloaded: the analysis.
        """
        deadline = deadline or Deadline.after(self._timeout_s)
        with self.analyzers.lend(force_llm=submission.force_llm) as analyzer:
            return self._scan(submission, analyzer, deadline=deadline, progress=progress)

    def text_of(self, submission: Submission) -> str:
        """Return the extracted text of a document, to which spans refer; raises as `scan` does."""
        return self._extracted(submission, Deadline.after(self._timeout_s)).text

    def close(self) -> None:
        """Release the model and its threads."""
        self.analyzers.close()

    def _scan(
        self,
        submission: Submission,
        analyzer: Analyzer,
        *,
        deadline: Deadline,
        progress: Progress | None,
    ) -> ScanResult:
        began_s = time.monotonic()
        document, warnings = self._document(submission, analyzer, deadline)
        languages = self._detector.detect(document)
        warnings += tuple(_language_warnings(languages, analyzer.languages))
        read_s = time.monotonic()
        with observe_stage(self._observer, "analyze"):
            analysis = analyzer.analyze(
                document, sensitivity=submission.sensitivity, deadline=deadline, progress=progress
            )
        return ScanResult(
            document,
            analysis,
            submission.sha256(),
            submission.sensitivity,
            languages,
            warnings,
            read_s=read_s - began_s,
            analyze_s=time.monotonic() - read_s,
        )

    def _document(
        self, submission: Submission, analyzer: Analyzer, deadline: Deadline
    ) -> tuple[Document, tuple[ScanWarning, ...]]:
        """Read the document; attach the file if `analyzer` takes files, since it may read other formats."""
        file = submission.file() if analyzer.takes_files else None
        try:
            document = self._read(submission, deadline)
        except (UnreadableDocument, UnsupportedMediaType) as error:
            if file is None:
                raise
            why = f"Only the AI service read this file, so findings have no span: {error.message}"
            return (
                Document("", (), file=file, is_read=False),
                (ScanWarning("document_not_read", why),),
            )
        return document if file is None else replace(document, file=file), ()

    def _read(self, submission: Submission, deadline: Deadline) -> Document:
        with observe_stage(self._observer, "extract"):
            extracted = self._extracted(submission, deadline)
        with observe_stage(self._observer, "segment"):
            return self._segmenter.segment(extracted, deadline=deadline)

    def _extracted(self, submission: Submission, deadline: Deadline) -> ExtractedText:
        if submission.data is not None:
            return self._extractor.extract(
                submission.data,
                filename=submission.filename,
                media_type=submission.media_type,
                caller=submission.caller,
                deadline=deadline,
            )
        text = submission.text or ""
        if not text.strip():
            fault = Fault("text", "The text is empty; send the words to be scanned.")
            raise InvalidRequest(fault.message, faults=(fault,))
        return self._extractor.extract_text(text, caller=submission.caller, deadline=deadline)


def _language_warnings(languages: Languages, read: Set[str] | None) -> Iterator[ScanWarning]:
    """Yield a warning if too much of the text is in languages that are not in `read`."""
    if read is None or not languages.shares:
        return
    unread = 1 - languages.share_of(read)
    if unread >= LEAST_UNREAD_SHARE:
        readable = ", ".join(f"'{code}'" for code in sorted(read))
        others = [code for code in languages.shares if code not in read]
        yield ScanWarning(
            "language_not_read",
            f"About {unread:.0%} of the text is in a language that the model does not read (mostly "
            f"'{others[0]}'; it reads {readable}), so risks there are missed. "
            "Scan a translation, or set force_llm if an LLM that reads it is configured.",
        )
