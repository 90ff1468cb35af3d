"""Who may send sentences to the LLM, how many tokens a day, and what is masked."""

import json
from contextlib import ExitStack, closing

import pytest

from service.config.settings import load
from service.errors import ConfigError
from tests.api.conftest import User
from tests.fakes.chat_server import USAGE, completion
from tests.fakes.loopback import Reply
from tests.support.calls import HTTP, caller
from tests.support.sentences import FLOW_TEXT
from tests.support.waiting import wait_until

FORCED = {"text": FLOW_TEXT, "force_llm": True}
USED = USAGE["total_tokens"]
MANY = " ".join(f"Ship number {n} may miss its deadline." for n in range(300))


@pytest.fixture
def start(start_service, database_url, llm):
    """Start a service with this LLM on the database under test."""
    settings = {"LLM_BASE_URL": llm.base_url, "LLM_MODEL": "rules", "AI_SERVICE_OPEN": "true"}
    return lambda **more: start_service(DATABASE_URL=database_url, **settings, **more)


@pytest.fixture
def account():
    """Create an account of a role on a service."""
    with ExitStack() as stack:

        def create(live, role="user"):
            http = stack.enter_context(caller(live.url))
            register = live.services.accounts.register
            user = User(http, lambda email, word: register(email, word, role=role))
            return stack.enter_context(closing(user.http))

        yield create


def sent(admin):
    """Return what left the machine by the audit trail, newest first."""
    answer = admin.get("/api/v1/admin/audit-events", params={"action": "data.sent"})
    return [event["detail"] for event in answer.raise_for_status().json()["items"]]


def calls(admin):
    return admin.get("/api/v1/admin/api-interactions").raise_for_status().json()["items"]


def usage(http):
    return http.get("/api/v1/llm-usage").raise_for_status().json()


def use_tokens(http, llm, n_tokens):
    """Scan a sentence for which the LLM reports this usage."""
    usage = {"prompt_tokens": n_tokens, "completion_tokens": 0}
    answer = {**completion('{"findings": []}'), "usage": usage}
    llm.replies.append(Reply(body=json.dumps(answer).encode()))
    http.post("/api/v1/scan", json={**FORCED, "text": "All is well."}).raise_for_status()


@pytest.mark.every_database
def test_tokens_of_the_day_are_counted_and_limited(start, account, llm):
    live = start(LLM_DAILY_TOKENS="3000")
    http, other = account(live), account(live)
    assert http.post("/api/v1/scan", json=FORCED).status_code == 201
    wait_until(lambda: usage(http)["used"] == USED, lambda: usage(http))
    assert usage(http)["remaining"] == 3000 - USED
    use_tokens(http, llm, 2500)
    n_sent = len(llm.requests)
    refused = http.post("/api/v1/scan", json=FORCED)
    assert (refused.status_code, refused.json()["code"]) == (429, "llm_budget_used")
    assert 0 < int(refused.headers["Retry-After"]) <= 86_400
    assert len(llm.requests) == n_sent
    assert http.post("/api/v1/scan", json={"text": FLOW_TEXT}).json()["source"] == "model"
    assert other.post("/api/v1/scan", json=FORCED).status_code == 201


@pytest.mark.parametrize(("n_copies", "limit"), [(60, 3_000), (300, 24_000)])
def test_document_that_needs_more_than_the_tokens_of_a_day_is_413(
    start, account, llm, n_copies, limit
):
    live = start(LLM_DAILY_TOKENS=str(limit))
    n_sent = len(llm.requests)
    text = " ".join(f"Ship number {n} may miss its deadline." for n in range(n_copies))
    refused = account(live).post("/api/v1/scan", json={**FORCED, "text": text})
    assert (refused.status_code, refused.json()["code"]) == (413, "too_large")
    assert "LLM_DAILY_TOKENS" in refused.json()["detail"]
    assert len(llm.requests) == n_sent


def test_role_outside_llm_roles_is_refused_for_a_large_document_too(start, account):
    live = start(LLM_ROLES="admin", LLM_DAILY_TOKENS="3000")
    refused = account(live).post("/api/v1/scan", json={**FORCED, "text": MANY})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


def test_request_that_reaches_no_server_uses_no_tokens_and_sent_nothing(start_service, account):
    live = start_service(
        LLM_BASE_URL="http://127.0.0.1:9/v1", LLM_MODEL="none", LLM_DAILY_TOKENS="5000"
    )
    http = account(live)
    assert http.post("/api/v1/scan", json=FORCED).status_code == 503
    assert usage(http)["used"] == 0
    admin = account(live, "admin")
    wait_until(lambda: calls(admin))
    assert [call["sent_bytes"] for call in calls(admin)] == [0]
    assert sent(admin) == []


def test_role_outside_llm_roles_is_refused_and_nothing_is_sent(start, account, llm):
    live = start(LLM_ROLES="reviewer, admin")
    n_sent = len(llm.requests)
    user = account(live)
    refused = user.post("/api/v1/scan", json=FORCED)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "LLM_ROLES" in refused.json()["detail"]
    assert HTTP.post(f"{live.url}/scan", json=FORCED).status_code == 403  # without an account
    assert len(llm.requests) == n_sent
    assert usage(user)["is_allowed"] is False
    assert account(live, "reviewer").post("/api/v1/scan", json=FORCED).status_code == 201


def test_llm_off_sends_nothing_whatever_else_is_set(start, account, llm):
    live = start(LLM="off")
    n_sent = len(llm.requests)
    refused = account(live, "admin").post("/api/v1/scan", json=FORCED)
    assert (refused.status_code, refused.json()["code"]) == (501, "not_configured")
    assert "LLM=off" in refused.json()["detail"]
    chosen = account(live).put("/api/v1/settings", json={"force_llm": True})
    assert (chosen.status_code, chosen.json()["errors"][0]["field"]) == (400, "force_llm")
    assert len(llm.requests) == n_sent
    assert 'role="llm"' not in HTTP.get(f"{live.url}/metrics").text


def test_masked_sentence_is_sent_and_the_finding_keeps_its_words(start, account, llm):
    live = start(LLM_MASK="on")
    http = account(live)
    text = f"{FLOW_TEXT}, says ann.smith@corp.local (+49 30 1234567, DE89 3704 0044 0532 0130 00)."
    scan = http.post("/api/v1/scan", json={"text": text, "force_llm": True}).json()
    asked = json.loads(llm.requests[-1][1]["messages"][-1]["content"])
    assert [s["text"] for s in asked] == [f"{FLOW_TEXT}, says [email] ([phone], [iban])."]
    assert scan["data"][0]["context"] == text
    assert sent(account(live, "admin"))[0]["masked"] is True


def test_failing_llm_is_not_called_for_a_while(start, account, llm):
    live = start(AI_TIMEOUT_S="20")
    http = account(live)
    llm.replies.extend(Reply(503) for _ in range(5))
    assert {http.post("/api/v1/scan", json=FORCED).status_code for _ in range(5)} == {503}
    n_sent = len(llm.requests)
    refused = http.post("/api/v1/scan", json=FORCED)
    assert (refused.status_code, refused.json()["code"]) == (503, "analyzer_unavailable")
    assert "5 times in a row" in refused.json()["detail"]
    assert 0 < int(refused.headers["Retry-After"]) <= 30
    assert len(llm.requests) == n_sent
    metrics = HTTP.get(f"{live.url}/metrics").text
    assert 'riskscan_circuit_open{upstream="llm"} 1.0' in metrics
    assert http.post("/api/v1/scan", json={"text": FLOW_TEXT}).status_code == 201


def test_server_outside_egress_hosts_stops_the_start():

    settings = {"LLM_BASE_URL": "http://llm.example/v1", "LLM_MODEL": "m"}
    with pytest.raises(ConfigError, match=r"EGRESS_HOSTS does not list llm\.example"):
        load({**settings, "EGRESS_HOSTS": "llm.corp.local"})
    load({**settings, "EGRESS_HOSTS": "llm.corp.local, LLM.example"})
