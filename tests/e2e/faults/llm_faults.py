"""An LLM that hangs, hangs up, talks nonsense or never stops: callers get 502 or 503, others scan on."""

from tests.e2e.conftest import Process
from tests.e2e.crashes import KEYS
from tests.e2e.faults.outcome import Outcome, others, post
from tests.e2e.test_start_and_stop import log_in
from tests.fakes.chat_server import ChatServer
from tests.fakes.loopback import Reply
from tests.support.sentences import FLOW_TEXT

AI_TIMEOUT_S = 3
LIMIT_S = 3 * AI_TIMEOUT_S + 10
OTHERS_LIMIT_S = 15.0
N_CALLS = 4
"""Fewer than the failures that open the circuit breaker, so that each call meets the fault."""
TIMEOUT = "503 analyzer_timeout"
AWAY, ERROR = "503 analyzer_unavailable", "502 analyzer_error"
MEGABYTES = b'{"choices": [{"message": {"content": "' + b"a" * 10_000_000 + b'"}}]}'
CUT = {"Content-Length": "5000", "Connection": "close"}
FAULTS = {
    "LLM hangs": (Reply(delay_s=60), (TIMEOUT,)),
    "LLM hangs up mid-answer": (Reply(body=b'{"choices": [', headers=CUT), (AWAY, ERROR)),
    "LLM hangs up at once": (Reply(status=200, headers=CUT), (AWAY, ERROR)),
    "LLM answers garbage": (Reply(body=b"\x00\xff<html>" * 50), (ERROR,)),
    "LLM answers an empty body": (Reply(body=b""), (ERROR,)),
    "LLM answers JSON of another kind": (Reply(body=b'{"choices": [null, [[]], 1e999]}'), (ERROR,)),
    "LLM answers deep JSON": (Reply(body=b"[" * 500_000), (ERROR,)),
    "LLM answers 10 MB": (Reply(body=MEGABYTES), (ERROR,)),
    "LLM sends byte by byte": (Reply(body=b" " * 5_000, trickle_s=0.2), (TIMEOUT,)),
    "LLM sends a header byte by byte": (Reply(body=b"{}", header_trickle_s=0.5), (TIMEOUT,)),
    "LLM answers 500": (Reply(500, b"oops"), (ERROR,)),
    "LLM answers 429": (Reply(429, b"{}", {"Retry-After": "9999999999"}), (AWAY, ERROR)),
    "LLM redirects": (Reply(302, b"", {"Location": "http://127.0.0.1:1/"}), (ERROR,)),
}


def run(folder):
    """Let the LLM fail in each way; return the outcomes, the last of which are those of another user."""
    llm = ChatServer()
    settings = {
        "LLM_BASE_URL": llm.base_url,
        "LLM_MODEL": "rules",
        "AI_TIMEOUT_S": str(AI_TIMEOUT_S),
    }
    process = Process(folder / "data", **{**KEYS, **settings})
    beside = Outcome("scans and readiness of others meanwhile")
    try:
        url = process.when_ready().url
        forcing, other = log_in(url, "forcing@corp.local"), log_in(url, "other@corp.local")
        with others(url, other, beside):
            outcomes = [_under(fault, url, forcing, llm) for fault in FAULTS]
        outcomes.append(_well("LLM well again", url, forcing))
        beside.expect("201", "200", within_s=OTHERS_LIMIT_S)
        errors = [line for line in process.lines if "Traceback" in line]
        beside.wrong += [f"a traceback in the log: {line[:300]}" for line in errors]
        return [*outcomes, beside]
    finally:
        process.kill()
        llm.close()


def _under(fault, url, headers, llm):
    reply, expected = FAULTS[fault]
    outcome = Outcome(fault)
    llm.replies.extend([reply] * 50)
    n_before = len(llm.requests)
    outcome.repeat(lambda: forced(url, headers), N_CALLS, at_once=N_CALLS)
    if len(llm.requests) - n_before < N_CALLS:
        outcome.wrong.append(f"only {len(llm.requests) - n_before} calls met the fault")
    outcome.expect(*expected, within_s=LIMIT_S)
    llm.replies.clear()
    forced(url, headers)  # an answer closes the circuit breaker before the next fault
    return outcome


def _well(title, url, headers):
    outcome = Outcome(title)
    outcome.repeat(lambda: forced(url, headers), N_CALLS)
    return outcome.expect("201", within_s=LIMIT_S)


def forced(url, headers):
    return post(url, "/api/scan", headers, json={"text": FLOW_TEXT, "force_llm": True})
