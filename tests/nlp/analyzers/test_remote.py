from __future__ import annotations

from dataclasses import replace

import pytest

from service.errors import AnalyzerError, AnalyzerUnavailable
from service.nlp.analyzers.remote import RemoteAnalyzer
from service.nlp.document import Block, Document, ExtractedText, SubmittedFile
from service.nlp.layout import Layout, Pages, Part
from service.nlp.taxonomy import built_in
from tests.fakes.loopback import Reply
from tests.fakes.scan_server import item
from tests.nlp.prose import RISK, extracted

OUTAGE = "The gateway is a single point of failure."
GOOD = item("tight-budget", RISK)


@pytest.fixture
def analyze(segmenter, remote, scan_server):
    """Analyze paragraphs; `data` and `source` are the answer that the service gives."""

    def run(*paragraphs: str, data=None, source="model"):
        if data is not None:
            scan_server.say({"data": data, "source": source})
        return remote.analyze(segmenter.segment(extracted(*paragraphs)))

    return run


def test_analyze_request_is_a_form_with_the_whole_text_token_and_force_llm(segmenter, scan_server):
    analyzer = RemoteAnalyzer(
        scan_server.url + "/", taxonomy=built_in(), token="t-1", force_llm=True
    )
    analysis = analyzer.analyze(segmenter.segment(extracted(RISK, "End.")))
    analyzer.close()
    headers, request = scan_server.requests[0]
    assert request == {"text": RISK + "\n\nEnd.", "force_llm": "true"}
    assert headers["Authorization"] == "Bearer t-1"
    assert analysis.source == "llm"


def test_analyze_without_token_sends_no_authorization(analyze, scan_server):
    analyze(RISK)
    assert "Authorization" not in scan_server.requests[0][0]


def test_analyze_answer_in_any_order_is_sorted_by_document_and_taxonomy(analyze):
    data = [item("outage", OUTAGE), GOOD, item("aggressive-deadline", RISK)]
    found = analyze(RISK, OUTAGE, data=data).findings
    assert [f.risk_type for f in found] == ["aggressive-deadline", "tight-budget", "outage"]
    assert [f.start for f in found] == [0, 0, len(RISK) + 2]
    assert all(f.score is None for f in found)


def test_analyze_identical_sentences_take_successive_occurrences(analyze):
    found = analyze(RISK, "Noon.", RISK, data=[GOOD, item("outage", RISK), GOOD]).findings
    assert [(f.risk_type, f.start) for f in found] == [
        ("tight-budget", 0), ("outage", 0), ("tight-budget", len(RISK) + 9)]  # fmt: skip


def test_analyze_short_context_means_the_sentence_not_a_part_of_another(analyze):
    found = analyze(
        "It said: no backup at all.", "no backup", data=[item("no-recovery", "no backup")]
    )
    assert found.findings[0].start == 28


def test_analyze_other_sentence_boundaries_take_the_place_where_the_context_stands(analyze):
    part = "tight budget and aggressive deadline"
    [finding] = analyze(RISK, data=[item("tight-budget", part)]).findings
    assert (finding.context, finding.start) == (part, RISK.index(part))


def test_analyze_file_is_sent_as_it_came_in_place_of_the_text(remote, segmenter, scan_server):
    file = SubmittedFile(
        b"Ein Z\xc3\xa4hler. \x00", "z\u00e4hler v2.md", "text/markdown; charset=utf-8"
    )
    remote.analyze(replace(segmenter.segment(extracted(RISK)), file=file))
    [(_, request)] = scan_server.requests
    assert request == {"file": (file.filename, file.data, file.media_type)}


def test_analyze_foreign_titles_are_kept_and_have_no_key(analyze):
    foreign = {"risk": "Zahlungsverzug", "category": "Finanzen", "context": OUTAGE}
    found = analyze(RISK, OUTAGE, data=[foreign, GOOD]).findings
    assert [(f.risk_type, f.category) for f in found] == [("tight-budget", "budget"), (None, None)]
    assert found[1].titles(built_in()) == ("Zahlungsverzug", "Finanzen")
    assert (found[1].start, found[1].end) == (len(RISK) + 2, len(RISK) + 2 + len(OUTAGE))


def test_analyze_known_risk_in_a_foreign_category_keeps_its_key(analyze):
    [finding] = analyze(RISK, data=[{**GOOD, "category": "Finanzen"}]).findings
    assert (finding.risk_type, finding.category) == ("tight-budget", None)
    assert finding.titles(built_in())[1] == "Finanzen"


def test_analyze_context_that_the_text_lacks_is_kept_last_without_a_place(analyze):
    paraphrase = item("outage", "One gateway carries everything.")
    located, other = analyze(RISK, data=[paraphrase, GOOD]).findings
    assert (located.start, located.context) == (0, RISK)
    assert (other.start, other.end, other.page) == (None, None, None)
    assert other.context == paraphrase["context"]


def test_analyze_context_with_other_line_breaks_is_located(analyze):
    broken = RISK.replace(" ", "\n ")
    [finding] = analyze(RISK, data=[item("tight-budget", broken)]).findings
    assert (finding.start, finding.end, finding.context) == (0, len(RISK), broken)


def test_analyze_same_finding_twice_stays_at_the_last_occurrence(analyze):
    assert [f.start for f in analyze(RISK, data=[GOOD, GOOD]).findings] == [0, 0]


def test_analyze_nul_and_half_of_a_surrogate_pair_become_storable(analyze):
    [finding] = analyze(RISK, data=[{**GOOD, "risk": "A\x00\ud800"}]).findings
    assert finding.foreign_risk == "A\ufffd\ufffd"


def test_analyze_page_is_that_of_the_document(remote, segmenter):
    text = f"One.\n\n{RISK}"
    blocks = (Block(0, 4), Block(6, len(text)))
    layout = Layout((Part("", pages=Pages((0, 6))),))
    document: Document = segmenter.segment(ExtractedText(text, blocks, layout))
    [first, _] = remote.analyze(document).findings
    assert first.page == 2


@pytest.mark.parametrize(
    "answer",
    [
        None, [], {}, {"data": []}, {"source": "model"}, {"data": None, "source": "model"},
        {"data": [], "source": "human"}, {"data": [], "source": ["llm"]},
        {"data": [5], "source": "model"},
        {"data": [{**GOOD, "context": " "}], "source": "model"},
        {"data": [{**GOOD, "risk": ""}], "source": "model"},
        {"data": [{**GOOD, "category": " "}], "source": "model"},
        {"data": [{**GOOD, "risk": "x" * 256}], "source": "model"},
        {"error": "out of memory"},
        {"data": [{**GOOD, "context": None}], "source": "model"},
        {"data": [{"risk": GOOD["risk"], "context": RISK}], "source": "model"},
    ],
)  # fmt: skip
def test_analyze_malformed_answer_is_refused_whole(analyze, scan_server, answer):
    scan_server.say(answer)
    with pytest.raises(AnalyzerError, match="refused") as caught:
        analyze(RISK)
    assert caught.value.status == 502
    assert RISK not in caught.value.message


def test_analyze_service_that_is_draining_raises_unavailable(analyze, scan_server):
    scan_server.replies.append(Reply(503, b'{"detail": "draining"}', {"Retry-After": "3"}))
    with pytest.raises(AnalyzerUnavailable, match="AI_SERVICE_URL") as caught:
        analyze(RISK)
    assert caught.value.retry_after_s == 3
