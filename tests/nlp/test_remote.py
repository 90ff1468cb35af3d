from __future__ import annotations

import pytest

from service.errors import AnalyzerError, AnalyzerUnavailable
from service.nlp.analyzer import Block, Document, ExtractedText
from service.nlp.remote import RemoteAnalyzer
from tests.fakes.loopback import Reply
from tests.fakes.scan_server import item
from tests.nlp.prose import RISK, extracted

OUTAGE = "The gateway is a single point of failure."
GOOD = item("tight-budget", RISK)


@pytest.fixture
def analyze(segmenter, remote, scan_server):
    """Return the findings of paragraphs for the answer that the service is made to give."""

    def run(*paragraphs: str, data=None, source="model"):
        if data is not None:
            scan_server.say({"data": data, "source": source})
        return remote.analyze(segmenter.segment(extracted(*paragraphs)))

    return run


def test_analyze_request_carries_the_whole_text_token_and_force_llm(segmenter, scan_server):
    analyzer = RemoteAnalyzer(scan_server.url + "/", token="t-1", force_llm=True)
    analysis = analyzer.analyze(segmenter.segment(extracted(RISK, "End.")))
    analyzer.close()
    headers, request = scan_server.requests[0]
    assert request == {"text": RISK + "\n\nEnd.", "force_llm": True}
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


def test_analyze_page_is_that_of_the_document(remote, segmenter):
    text = f"One.\n\n{RISK}"
    blocks = (Block(0, 4), Block(6, len(text)))
    document: Document = segmenter.segment(ExtractedText(text, blocks, page_starts=(0, 6)))
    [first, _] = remote.analyze(document).findings
    assert first.page == 2


@pytest.mark.parametrize(
    "answer",
    [
        None, [], {}, {"data": []}, {"source": "model"}, {"data": None, "source": "model"},
        {"data": [], "source": "human"}, {"data": [], "source": ["llm"]},
        {"data": [5], "source": "model"},
        {"data": [GOOD, {**GOOD, "context": "Not in the text."}], "source": "model"},
        {"data": [GOOD, GOOD], "source": "model"},
        {"data": [{**GOOD, "context": " "}], "source": "model"},
        {"data": [{**GOOD, "risk": "tight-budget"}], "source": "model"},
        {"data": [{**GOOD, "category": "Schedule"}], "source": "model"},
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
