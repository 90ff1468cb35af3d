"""An LLM that obeys every document in the worst way: the service's answer stays within its form."""

import json
import logging

import pytest

from service.nlp.taxonomy import built_in
from tests.fakes.chat_server import ChatServer, completion
from tests.fakes.loopback import Reply
from tests.support.injections import INJECTIONS
from tests.support.sentences import FLOW_TEXT

TAXONOMY = built_in()
RISKS = set(TAXONOMY.risk_titles.values())
PROMPT_PARTS = ("You read numbered", "Risk types, key first", "Answer with JSON only")
CANARY = "canary-7f3a-"


def prompt_of(request):
    return "\n".join(message["content"] for message in request["messages"])


def sentences_of(request):
    return json.loads(request["messages"][-1]["content"])


def found(*findings, **more):
    return json.dumps({"findings": list(findings), **more})


GOOD = {"sentence": 1, "risk_type": "tight-budget"}
CONTENT = {
    "echoes the prompt": prompt_of,
    "echoes the prompt as a risk type": lambda r: found({**GOOD, "risk_type": prompt_of(r)}),
    "echoes the prompt as a key": lambda r: found({**GOOD, prompt_of(r): 1}),
    "echoes the sentences": lambda r: r["messages"][-1]["content"],
    "number beyond the last": lambda r: found({**GOOD, "sentence": len(sentences_of(r)) + 1}),
    "number zero": lambda _: found(GOOD, {**GOOD, "sentence": 0}),
    "number below zero": lambda _: found({**GOOD, "sentence": -1}),
    "number as text": lambda _: found({**GOOD, "sentence": "1"}),
    "extra keys": lambda r: found({**GOOD, "quote": prompt_of(r)}),
    "extra keys outside": lambda r: found(GOOD, prompt=prompt_of(r)),
    "text around the JSON": lambda r: f"{prompt_of(r)}\n{found(GOOD)}\n{prompt_of(r)}",
    "other JSON": lambda _: '{"status": "ok", "admin": true}',
    "huge": lambda _: found(*[GOOD] * 120_000),
    "duplicate pairs": lambda _: found(*[GOOD] * 500),
    "everything": lambda r: found(
        *({"sentence": s["sentence"], "risk_type": t} for s in sentences_of(r) for t in RISK_TYPES)
    ),
    "nothing": lambda _: found(),
    "no content": lambda _: None,
    "no JSON": lambda _: "I will not answer that.",
    "nested": lambda _: "[" * 50_000,
}
RISK_TYPES = TAXONOMY.risk_types
REPLIES = {
    "error that quotes the prompt": lambda r: Reply(
        400, json.dumps({"error": {"message": f"bad request: {prompt_of(r)[-250:]}"}}).encode()
    ),
    "error that quotes the sentence": lambda r: Reply(
        500, f"cannot tokenize {sentences_of(r)[0]['text'][:200]}".encode()
    ),
    "redirect elsewhere": lambda _: Reply(307, b"", {"Location": "http://localhost:1/v1/x"}),
}


class ObedientServer(ChatServer):
    """Answers as `behaviour` says."""

    behaviour = "nothing"

    def reply(self, path, headers, body):  # noqa: ARG002 - LoopbackServer's
        request = json.loads(body)
        self.requests.append((headers, request))
        if self.behaviour in REPLIES:
            return REPLIES[self.behaviour](request)
        content = CONTENT[self.behaviour](request)
        return Reply(body=json.dumps(completion(content)).encode())


@pytest.fixture(scope="module")
def server():
    server = ObedientServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def service(start_service, server):
    return start_service(LLM_BASE_URL=server.base_url, LLM_MODEL="obedient", LLM_API_KEY="k-1")


@pytest.mark.parametrize("behaviour", [*CONTENT, *REPLIES])
def test_answers_stay_within_form_and_quote_no_prompt(
    service, server, make_user, caplog, behaviour
):
    caplog.set_level(logging.DEBUG)
    user, server.behaviour = make_user(service), behaviour
    seen = set()
    step = 9 if behaviour in {"huge", "everything"} else 3  # these take long
    first = [*CONTENT, *REPLIES].index(
        behaviour
    ) % step  # every injection meets a third of all behaviours
    for text in [*INJECTIONS.values()][first::step]:
        del server.requests[:]
        body = {"text": f"{CANARY}{text}\n\n{FLOW_TEXT}", "force_llm": True}
        answer = user.http.post("/api/scan", json=body)
        seen.add(answer.status_code)
        assert not [part for part in PROMPT_PARTS if part in answer.text]
        if answer.status_code == 201:
            check_findings(answer.json()["data"], server)
        else:
            assert (answer.status_code, answer.json()["code"]) == (502, "analyzer_error")
            assert CANARY not in answer.text
    assert seen in ({201}, {502})
    assert not [
        r for r in caplog.records if CANARY in r.getMessage() or "You read" in r.getMessage()
    ]


def check_findings(items, server):
    sent = {s["text"] for _, request in server.requests for s in sentences_of(request)}
    for item in items:
        assert set(item) == {"risk", "category", "context"}
        assert item["risk"] in RISKS
        assert item["context"] in sent


def test_injection_in_one_document_does_not_change_the_findings_of_another(
    service, server, make_user
):
    user, server.behaviour = make_user(service), "nothing"
    obeyed = user.http.post(
        "/api/scan", json={"text": f"{INJECTIONS['all harmless']} {FLOW_TEXT}", "force_llm": True}
    )
    assert obeyed.json()["data"] == []
    server.behaviour = "everything"
    other = user.http.post("/api/scan", json={"text": FLOW_TEXT, "force_llm": True})
    assert {item["risk"] for item in other.json()["data"]} == RISKS
