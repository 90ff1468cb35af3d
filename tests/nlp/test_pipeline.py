"""The scan pipeline with an analyzer that finds a risk in each sentence that names it."""

import hashlib
from contextlib import closing

import pytest

from service.config.settings import load
from service.errors import AnalyzerTimeout, InvalidRequest, NotConfigured, UnreadableDocument
from service.nlp.analyzers.base import Analyzer
from service.nlp.analyzers.pool import AnalyzerPool
from service.nlp.deadline import Deadline
from service.nlp.document import Analysis, Finding
from service.nlp.observer import Observer
from service.nlp.pipeline import ScanPipeline, Submission
from service.nlp.taxonomy import built_in
from tests.support.documents import encrypted_pdf

GERMAN = "Das Budget ist knapp und die Frist ist sehr kurz bemessen. " * 3


class KeywordAnalyzer(Analyzer):
    """Finds tight-budget in each sentence with the word "budget"."""

    source = "model"
    taxonomy = built_in()
    languages = frozenset({"en"})
    model_name, model_version = "keyword", "1"

    def __init__(self, *, takes_files=False):
        self.takes_files = takes_files
        self.documents = []

    def analyze(self, document, *, sensitivity="balanced", deadline=None, progress=None):  # noqa: ARG002 - the interface
        self.documents.append(document)
        deadline.check()
        findings = [
            Finding("tight-budget", "budget", 0.9, text, s.start, s.end, None)
            for s, text in zip(document.sentences, document.sentence_texts(), strict=True)
            if "budget" in text
        ]
        return Analysis(self.taxonomy, findings, self.source, self.model_name, self.model_version)


class StageRecorder(Observer):
    def __init__(self):
        self.stages = []

    def stage_ended(self, stage, seconds):  # noqa: ARG002 - the interface
        self.stages.append(stage)


@pytest.fixture
def analyzer():
    return KeywordAnalyzer()


@pytest.fixture
def stages():
    return StageRecorder()


@pytest.fixture
def pipeline(analyzer, stages):
    with closing(ScanPipeline(load({}), AnalyzerPool(analyzer), observer=stages)) as opened:
        yield opened


def test_scan_text_returns_findings_coverage_and_no_warning(pipeline):
    text = "The project has a tight budget. Lunch is served at noon in the main hall."
    result = pipeline.scan(Submission(text=text))
    assert [(f.context, f.start, f.end) for f in result.analysis.findings] == [(text[:31], 0, 31)]
    assert result.data() == [
        {"risk": "Insufficient or tight budget", "category": "Budget", "context": text[:31]}
    ]
    assert result.coverage() == {
        "characters": len(text),
        "sentences": 2,
        "pages": None,
        "pages_without_text": [],
        "pages_by_ocr": [],
        "parts": [],
        "truncated": False,
        "language": "en",
        "language_share": 1.0,
        "warnings": [],
        "hidden_findings": 0,
    }


def test_scan_file_has_the_sha256_of_its_bytes(pipeline):
    result = pipeline.scan(Submission(data=b"A tight budget.", filename="a.txt"))
    assert result.document_sha256 == hashlib.sha256(b"A tight budget.").hexdigest()


def test_scan_reports_the_duration_of_each_stage(pipeline, stages):
    pipeline.scan(Submission(text="One."))
    assert stages.stages == ["extract", "segment", "analyze"]


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_scan_empty_text_raises_invalid_request_for_the_field(pipeline, text):
    with pytest.raises(InvalidRequest) as caught:
        pipeline.scan(Submission(text=text))
    assert [fault.field for fault in caught.value.faults] == ["text"]


def test_scan_language_that_the_analyzer_does_not_read_warns(pipeline):
    [warning] = pipeline.scan(Submission(text=GERMAN)).warnings
    assert warning.code == "language_not_read"
    assert "mostly 'de'; it reads 'en'" in warning.message


def test_scan_expired_deadline_raises_timeout(pipeline):
    with pytest.raises(AnalyzerTimeout):
        pipeline.scan(Submission(text="One."), deadline=Deadline.after(0))


def test_scan_force_llm_without_an_llm_raises_not_configured(pipeline):
    with pytest.raises(NotConfigured):
        pipeline.scan(Submission(text="One.", force_llm=True))


def test_scan_unreadable_file_raises_for_an_analyzer_without_files(pipeline):
    with pytest.raises(UnreadableDocument):
        pipeline.scan(Submission(data=b"words", filename="a.pdf"))


def test_scan_unreadable_file_goes_to_an_analyzer_that_takes_files_with_a_warning():
    analyzer = KeywordAnalyzer(takes_files=True)
    with closing(ScanPipeline(load({}), AnalyzerPool(analyzer))) as pipeline:
        result = pipeline.scan(Submission(data=encrypted_pdf(), filename="a.pdf"))
    [document] = analyzer.documents
    assert (document.is_read, document.file.filename) == (False, "a.pdf")
    assert [warning.code for warning in result.warnings] == ["document_not_read"]
    assert result.coverage()["characters"] is None


def test_extract_text_returns_the_text_that_spans_refer_to(pipeline):
    page = Submission(data=b"<p>A tight <b>budget</b>.", filename="a.html")
    assert pipeline.extract_text(page) == "A tight budget.\n"


@pytest.mark.parametrize(
    "changed",
    [
        {"text": "two"},
        {"text": None, "data": b"one"},
        {"filename": "a.txt"},
        {"media_type": "text/plain"},
        {"force_llm": True},
        {"sensitivity": "high_recall"},
    ],
)
def test_fingerprint_depends_on_everything_that_determines_the_result(changed):
    fields = {"text": "one", "caller": "a"}
    assert Submission(**fields | changed).fingerprint() != Submission(**fields).fingerprint()
    assert (
        Submission(**fields | {"caller": "b"}).fingerprint() == Submission(**fields).fingerprint()
    )
