"""The scan pipeline: extracts, segments and analyzes a document. Stores nothing."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from service.config.settings import Config
from service.errors import Fault, InvalidRequest, UnreadableDocument, UnsupportedMediaType
from service.nlp.analyzers.base import Analyzer, Progress
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.artifacts.operating_points import Sensitivity
from service.nlp.cpu_quota import cpu_quota
from service.nlp.deadline import Deadline
from service.nlp.document import Analysis, Document, ExtractedText, Finding, SubmittedFile
from service.nlp.extraction.extractor import Extractor, n_slots
from service.nlp.extraction.fair_slots import FairSlots
from service.nlp.extraction.media_types import detect_format
from service.nlp.extraction.ocr import open_ocr
from service.nlp.language import LanguageDetector, Languages
from service.nlp.observer import NULL_OBSERVER, Observer, observe_stage
from service.nlp.scan_warnings import ScanWarning, coverage_warnings, language_warnings
from service.nlp.segmentation.segmenter import Segmenter
from service.nlp.taxonomy import Taxonomy


@dataclass(frozen=True, slots=True)
class ScanDefaults:
    """A caller's defaults for scans.

    `thresholds` maps category keys to scores in [0, 1]: a finding of the category below is not reported.
    """

    sensitivity: Sensitivity = "balanced"
    force_llm: bool = False
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submission:
    """A caller's document: either `text` or `data`, a file's bytes.

    A stored document comes as `text` with `extracted`, which is not read again. `caller` is an opaque key, by
    which callers share the document readers fairly. `silent_on` has those of `force_llm` and `sensitivity`
    that the caller left out. `thresholds` are those of ScanDefaults.
    """

    text: str | None = None
    data: bytes | None = None
    filename: str | None = None
    media_type: str | None = None
    force_llm: bool = False
    sensitivity: Sensitivity = "balanced"
    caller: str = ""
    extracted: ExtractedText | None = None
    silent_on: frozenset[str] = frozenset()
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def with_defaults(self, defaults: ScanDefaults) -> Submission:
        """Return the submission with the caller's defaults where the caller was silent.

        An LLM gives no scores, so a sensitivity asks for the model, and the LLM for no sensitivity.
        """
        force_llm, sensitivity = self.force_llm, self.sensitivity
        if self.silent_on >= {"force_llm", "sensitivity"}:
            force_llm = defaults.force_llm
        if "sensitivity" in self.silent_on and not force_llm:
            sensitivity = defaults.sensitivity
        return replace(
            self, force_llm=force_llm, sensitivity=sensitivity, thresholds=defaults.thresholds
        )

    def content(self) -> bytes:
        """Return the document's bytes as submitted."""
        if self.data is not None:
            return self.data
        return (self.text or "").encode("utf-8", "surrogatepass")

    def sha256(self) -> str:
        """Return the SHA-256 (hex) of the document, which identifies it in a scan."""
        return hashlib.sha256(self.content()).hexdigest()

    def file(self) -> SubmittedFile | None:
        """Return the file if it has a name, since another service detects the format by the name."""
        if not self.data or not self.filename:
            return None
        return SubmittedFile(self.data, self.filename, self.media_type)

    def detected_media_type(self) -> str:
        """Return the registered media type of the document's format, or the declared one if it has none."""
        if self.data is None:
            return "text/plain"
        try:
            known = detect_format(self.data, filename=self.filename, media_type=self.media_type)
        except UnsupportedMediaType:
            return (self.media_type or "application/octet-stream").partition(";")[0].strip()[:255]
        return known.media_types[0]

    def fingerprint(self) -> str:
        """Return a SHA-256 (hex) over what the request says, to detect a repeated one."""
        options = [
            "" if name in self.silent_on else str(getattr(self, name))  # a default may be another
            for name in ("force_llm", "sensitivity")
        ]
        parts = [self.filename or "", self.media_type or "", *options]
        head = "\0".join([*parts, "text" if self.data is None else "file", ""])
        return hashlib.sha256(head.encode("utf-8", "surrogatepass") + self.content()).hexdigest()


@dataclass(frozen=True, slots=True)
class ScanResult:
    """The result of one scan."""

    document: Document
    analysis: Analysis
    document_sha256: str
    sensitivity: Sensitivity = "balanced"
    languages: Languages = field(default_factory=lambda: Languages({}))
    warnings: tuple[ScanWarning, ...] = ()
    read_s: float = 0.0
    """Time to extract and segment the document and to detect its languages."""
    analyze_s: float = 0.0
    extracted: ExtractedText | None = None
    """The text with its blocks and pages; None if only the analyzer could read the file."""
    media_type: str = "text/plain"
    size_bytes: int = 0
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def findings(self) -> Sequence[Finding]:
        """Return the findings to report: all of `analysis` but those below the caller's thresholds."""
        if not self.thresholds:
            return self.analysis.findings
        return [f for f in self.analysis.findings if not self._is_hidden(f)]

    def _is_hidden(self, finding: Finding) -> bool:
        if finding.score is None or finding.category is None:
            return False
        return finding.score < self.thresholds.get(finding.category, 0.0)

    def coverage(self) -> dict[str, Any]:
        """Return the coverage block stored with each scan: counts, languages and warnings."""
        main = self.languages.main
        return {
            **self.document.coverage(),
            "language": main,
            "language_share": None if main is None else round(self.languages.shares[main], 2),
            "warnings": [asdict(warning) for warning in self.warnings],
            "hidden_findings": len(self.analysis.findings) - len(self.findings()),
        }

    def data(self) -> list[dict[str, str]]:
        """Return the findings as objects of the older contract, in document order."""
        taxonomy = self.analysis.taxonomy
        return [finding.data_item(taxonomy) for finding in self.findings()]


class ScanPipeline:
    """Extracts, segments and analyzes documents. Thread-safe."""

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
            slots=FairSlots(n_slots(cpu_quota() // config.web_processes)),
            ocr=open_ocr(config) if config.ocr == "on" else None,
        )
        self.segmenter = Segmenter()
        self._detector = LanguageDetector()
        self._timeout_s = config.ai_timeout_s

    @property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy of the serving model."""
        return self.analyzers.taxonomy

    def scan(
        self,
        submission: Submission,
        *,
        deadline: Deadline | None = None,
        progress: Progress | None = None,
    ) -> ScanResult:
        """Scan one document.

        The whole scan ends by `deadline`, by default AI_TIMEOUT_S from now.

        Raises:
            InvalidRequest, UnreadableDocument, UnsupportedMediaType, TooLarge: the document is at fault.
            RateLimited, Overloaded: too many documents wait, from this caller or from all callers.
            NotConfigured: `force_llm` is set and no LLM is configured.
            AnalyzerTimeout: `deadline` passed.
            AnalyzerUnavailable, AnalyzerError: the analyzer failed.
        """
        deadline = deadline or Deadline.after(self._timeout_s)
        with self.analyzers.lend(force_llm=submission.force_llm) as analyzer:
            return self._scan(submission, analyzer, deadline=deadline, progress=progress)

    def extract_text(self, submission: Submission) -> str:
        """Return a document's extracted text, to which spans refer. Raises as `scan` does."""
        return self._extract(submission, Deadline.after(self._timeout_s)).text

    def segment(self, extracted: ExtractedText) -> Document:
        """Split a text that was extracted before into sentences, as `scan` does."""
        return self.segmenter.segment(extracted)

    def close(self) -> None:
        """Close the analyzers."""
        self.analyzers.close()

    def _scan(
        self,
        submission: Submission,
        analyzer: Analyzer,
        *,
        deadline: Deadline,
        progress: Progress | None,
    ) -> ScanResult:
        began_at_s = time.monotonic()
        document, extracted, warnings = self._read_for(submission, analyzer, deadline)
        languages = self._detector.detect(document)
        layout, has_ocr = document.layout, self._extractor.has_ocr
        warnings += tuple(coverage_warnings(layout, has_ocr=has_ocr))
        warnings += tuple(language_warnings(languages, analyzer.languages))
        read_at_s = time.monotonic()
        with observe_stage(self._observer, "analyze"):
            analysis = analyzer.analyze(
                document, sensitivity=submission.sensitivity, deadline=deadline, progress=progress
            )
        return ScanResult(
            document,
            analysis,
            submission.sha256(),
            extracted=extracted,
            media_type=submission.detected_media_type(),
            size_bytes=len(submission.content()),
            sensitivity=submission.sensitivity,
            languages=languages,
            warnings=warnings,
            read_s=read_at_s - began_at_s,
            analyze_s=time.monotonic() - read_at_s,
            thresholds=submission.thresholds,
        )

    def _read_for(
        self, submission: Submission, analyzer: Analyzer, deadline: Deadline
    ) -> tuple[Document, ExtractedText | None, tuple[ScanWarning, ...]]:
        """Read the document. An analyzer that takes files gets the file too, and may read more formats."""
        file = submission.file() if analyzer.takes_files else None
        try:
            document, extracted = self._read(submission, deadline)
        except (UnreadableDocument, UnsupportedMediaType) as error:
            if file is None:
                raise
            message = (
                f"Only the AI service read this file, so findings have no span: {error.message}"
            )
            warning = ScanWarning("document_not_read", message)
            return Document("", (), file=file, is_read=False), None, (warning,)
        return document if file is None else replace(document, file=file), extracted, ()

    def _read(self, submission: Submission, deadline: Deadline) -> tuple[Document, ExtractedText]:
        with observe_stage(self._observer, "extract"):
            extracted = self._extract(submission, deadline)
        with observe_stage(self._observer, "segment"):
            return self.segmenter.segment(extracted, deadline=deadline), extracted

    def _extract(self, submission: Submission, deadline: Deadline) -> ExtractedText:
        if submission.extracted is not None:
            return submission.extracted
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
