"""Documents that command the LLM: what the request looks like, and what a real server answers."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.errors import AnalyzerError
from service.nlp.analyzers.llm import LLMAnalyzer
from service.nlp.analyzers.llm_prompt import messages
from service.nlp.deadline import Deadline
from service.nlp.document import Block, ExtractedText
from service.nlp.taxonomy import built_in
from tests.nlp.prose import HARMLESS, RISK
from tests.support.injections import INJECTIONS

MARKS = ("<", "\uff1c", "[INST]", "[/INST]", "\u200b", "\u202e", "\u2028", "\ufeff", "\U000e0049")
EVERY_INJECTION = pytest.mark.parametrize("text", INJECTIONS.values(), ids=INJECTIONS)


@EVERY_INJECTION
def test_request_keeps_numbers_and_texts_whatever_a_sentence_says(text):
    sentences = [RISK, text, HARMLESS[0]]
    content = messages(sentences, built_in())[-1]["content"]
    numbered = [{"sentence": n, "text": t} for n, t in enumerate(sentences, start=1)]
    assert json.loads(content) == numbered


@EVERY_INJECTION
def test_request_has_no_marks_of_a_chat_template_and_no_hidden_characters(text):
    content = messages([text], built_in())[-1]["content"]
    assert not [mark for mark in MARKS if mark in content]


def test_requests_of_documents_scanned_at_once_share_no_sentence(chat_server, segmenter):
    llm = LLMAnalyzer(chat_server.base_url, taxonomy=built_in(), model="rules")
    texts = [[f"Document {d} says {n}: {RISK}" for n in range(70)] for d in range(4)]
    with ThreadPoolExecutor(4) as pool:
        analyses = list(pool.map(lambda sentences: analyze(llm, segmenter, sentences), texts))
    llm.close()
    requests = [json.loads(body["messages"][-1]["content"]) for _, body in chat_server.requests]
    assert len(requests) == 4 * 3
    assert all(len({s["text"].split()[1] for s in request}) == 1 for request in requests)
    assert [len(analysis.findings) for analysis in analyses] == [140] * 4


def analyze(llm, segmenter, sentences):
    text = "\n\n".join(sentences)
    starts = [sum(len(s) + 2 for s in sentences[:i]) for i in range(len(sentences))]
    blocks = [Block(at, at + len(s)) for at, s in zip(starts, sentences, strict=True)]
    return llm.analyze(segmenter.segment(ExtractedText(text, blocks)))


@pytest.fixture(scope="module")
def real_llm():
    if "LLM_TEST_BASE_URL" not in os.environ:
        pytest.skip("set LLM_TEST_BASE_URL")
    analyzer = LLMAnalyzer(
        os.environ["LLM_TEST_BASE_URL"],
        taxonomy=built_in(),
        model=os.environ.get("LLM_TEST_MODEL", "default"),
        api_key=os.environ.get("LLM_TEST_API_KEY", ""),
    )
    yield analyzer
    analyzer.close()


@pytest.mark.llm
@pytest.mark.timeout(1800)
@EVERY_INJECTION
def test_real_server_answers_within_form_or_is_refused(real_llm, segmenter, text, record_property):
    """What is found depends on the model; that nothing else comes back does not."""
    document = segmenter.segment(ExtractedText(text, [Block(0, len(text))]))
    scores, message = None, ""
    try:
        scores = real_llm.score(document.sentence_texts(), deadline=Deadline.after(600))
    except AnalyzerError as error:
        message = error.message
    record_property("answer", message or int(scores.sum()))
    assert "You read numbered" not in message
    assert text[:40] not in message
    if scores is not None:
        assert set(scores.ravel()) <= {0.0, 1.0}
        assert scores.shape == (len(document.sentences), len(built_in().risk_types))
