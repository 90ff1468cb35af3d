"""force_llm against an OpenAI-compatible server, and another service in place of the model."""

from functools import partial

import pytest

from tests.fakes.loopback import Reply
from tests.support.calls import HTTP
from tests.support.sentences import FLOW_TEXT

KEY = "sk-this-stays-in-the-house"


@pytest.fixture(scope="module")
def start(start_service, llm):
    settings = {"LLM_BASE_URL": llm.base_url, "LLM_MODEL": "rules", "LLM_API_KEY": KEY}
    return partial(start_service, AI_SERVICE_OPEN="true", **settings)


@pytest.fixture(scope="module")
def url(start):
    return start().url


def forced(url, **body):
    return HTTP.post(f"{url}/scan", json={"text": FLOW_TEXT, "force_llm": True, **body})


@pytest.mark.parametrize("flag", [True, 1, "true", "1", "True", "ON", "yes"])
def test_scan_with_force_llm_returns_the_llms_findings(url, flag):
    answer = forced(url, force_llm=flag)
    assert (answer.status_code, answer.json()["source"]) == (200, "llm")
    assert {i["category"] for i in answer.json()["data"]} == {"Budget", "Schedule"}


@pytest.mark.parametrize("flag", [False, 0, "false", "0", "False", "off", "No"])
def test_scan_without_force_llm_does_not_call_the_llm(url, llm, flag):
    n_before = len(llm.requests)
    assert forced(url, force_llm=flag).json()["source"] == "model"
    assert len(llm.requests) == n_before


def test_idempotency_key_tells_a_missing_force_llm_from_false(start_service, llm, make_user):
    user = make_user(start_service(LLM_BASE_URL=llm.base_url, LLM_MODEL="rules"))
    user.http.put("/api/v1/settings", json={"force_llm": True}).raise_for_status()
    key = {"Idempotency-Key": "k"}
    first, again = (user.scan(headers=key).raise_for_status().json() for _ in range(2))
    assert (first["source"], again) == ("llm", first)
    other = user.http.post(
        "/api/v1/scan", json={"text": FLOW_TEXT, "force_llm": False}, headers=key
    )
    assert (other.status_code, other.json()["code"]) == (409, "conflict")


def test_llm_error_is_502_with_its_message_without_the_key(url, llm):
    message = f'{{"error": {{"message": "quota exceeded for {KEY}"}}}}'
    llm.replies.append(Reply(500, message.encode()))
    answer = forced(url)
    assert (answer.status_code, answer.json()["code"]) == (502, "analyzer_error")
    assert "quota exceeded" in answer.json()["detail"]
    assert KEY not in answer.text


def test_llm_invalid_response_is_502(url, llm):
    llm.say("I could not find any JSON today.")
    assert forced(url).json()["code"] == "analyzer_error"


def test_llm_timeout_is_503_with_retry_after(start, llm):
    llm.replies.append(Reply(delay_s=3))
    answer = forced(start(AI_TIMEOUT_S="2").url)
    assert (answer.status_code, answer.json()["code"]) == (503, "analyzer_timeout")
    assert int(answer.headers["Retry-After"]) > 0


def test_llm_unreachable_is_503_naming_the_setting(start_service):
    settings = {"LLM_BASE_URL": "http://127.0.0.1:9/v1", "LLM_MODEL": "none"}
    answer = forced(start_service(AI_SERVICE_OPEN="true", **settings).url)
    assert (answer.status_code, answer.json()["code"]) == (503, "analyzer_unavailable")
    assert "LLM_BASE_URL" in answer.json()["detail"]


def test_scan_with_ai_service_url_uses_that_service(start_service):
    other = start_service(AI_SERVICE_OPEN="true")
    front = start_service(AI_SERVICE_OPEN="true", AI_SERVICE_URL=other.url)
    body = {"text": f"All is well. {FLOW_TEXT}."}
    answers = [HTTP.post(f"{live.url}/scan", json=body).json() for live in (front, other)]
    assert answers[0] == answers[1]


def test_ai_service_requiring_a_token_is_502_naming_the_setting(start_service):
    other = start_service()
    front = start_service(AI_SERVICE_OPEN="true", AI_SERVICE_URL=other.url)
    answer = HTTP.post(f"{front.url}/scan", json={"text": FLOW_TEXT})
    assert (answer.status_code, answer.json()["code"]) == (502, "analyzer_error")
