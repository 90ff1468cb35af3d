from __future__ import annotations

import json
import socket
import threading
from contextlib import closing

import pytest

from service.errors import AnalyzerError, AnalyzerTimeout, AnalyzerUnavailable, ConfigError
from service.nlp.analyzers.http_client import MAX_ANSWER_BYTES, JsonClient, readable_message
from service.nlp.deadline import Deadline
from service.nlp.observer import Call
from tests.fakes.chat_server import ChatServer
from tests.fakes.loopback import Reply


@pytest.fixture
def client(chat_server: ChatServer):
    client = JsonClient(
        f"{chat_server.base_url}/chat/completions?v=hush",
        setting="LLM_BASE_URL",
        token="tok-1234567",
    )
    yield client
    client.close()


def error_body(message: str) -> bytes:
    return json.dumps({"error": {"message": message, "type": "x"}}).encode()


@pytest.mark.parametrize(
    ("url", "token"), [("http://host:99999999", ""), ("http://host", "k\u00e9y\u2019")]
)
def test_client_with_an_invalid_address_or_token_names_the_setting(url, token):
    with pytest.raises(ConfigError, match="LLM_BASE_URL"):
        JsonClient(url, setting="LLM_BASE_URL", token=token)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 500, 502, 504])
def test_post_error_status_forwards_the_servers_message(client, chat_server, status):
    chat_server.replies.append(Reply(status, error_body("model 'm' does not exist")))
    with pytest.raises(AnalyzerError, match=f"{status}: model 'm' does not exist") as caught:
        client.post({})
    assert caught.value.status == 502


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "expected"), [("7", 7), ("99999", 30), ("soon", 30), ("-1", 30), ("", 30)]
)
def test_post_asked_to_retry_forwards_a_plausible_retry_after(
    client, chat_server, status, header, expected
):
    chat_server.replies.append(Reply(status, error_body("busy"), {"Retry-After": header}))
    with pytest.raises(AnalyzerUnavailable, match="busy") as caught:
        client.post({})
    assert caught.value.retry_after_s == expected


def test_post_redirect_is_not_followed(client, chat_server):
    chat_server.replies.append(Reply(307, headers={"Location": "/elsewhere"}))
    with pytest.raises(AnalyzerError, match="LLM_BASE_URL to the final address"):
        client.post({})
    assert len(chat_server.requests) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff\xfe", b"[" * 200_000])
def test_post_response_that_is_not_json_raises_analyzer_error(client, chat_server, body):
    chat_server.replies.append(Reply(200, body))
    with pytest.raises(AnalyzerError, match="not JSON"):
        client.post({})


def test_post_response_over_the_size_limit_raises_analyzer_error(client, chat_server):
    chat_server.replies.append(Reply(200, b" " * (MAX_ANSWER_BYTES + 1)))
    with pytest.raises(AnalyzerError, match="4,000,000 bytes"):
        client.post({})


@pytest.mark.parametrize(
    "reply",
    [
        Reply(delay_s=20),
        Reply(body=b"[1, 2, 3]" * 9, trickle_s=0.25),
        Reply(body=b"[]", header_trickle_s=0.15),
    ],
    ids=["mute", "trickle", "trickled header"],
)
@pytest.mark.timeout(15)  # seconds; without the deadline, each of these servers takes 20 or more
def test_post_slow_server_raises_timeout_at_the_deadline(client, chat_server, reply):
    chat_server.replies.append(reply)
    with pytest.raises(AnalyzerTimeout) as caught:
        client.post({}, deadline=Deadline.after(0.2))
    assert caught.value.retry_after_s


def test_post_connection_refused_names_the_host_alone():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client = JsonClient(f"http://me:pw@127.0.0.1:{port}/v1?key=hush", setting="LLM_BASE_URL")
    with pytest.raises(AnalyzerUnavailable, match=r"127\.0\.0\.1 \(LLM_BASE_URL\)") as caught:
        client.post({})
    client.close()
    assert not any(secret in caught.value.message for secret in ("me:", "pw", "hush", str(port)))


def test_post_connection_that_breaks_in_the_response_raises_unavailable(client, chat_server):
    chat_server.replies.append(
        Reply(body=b"{", headers={"Content-Length": "9", "Connection": "close"})
    )
    with pytest.raises(AnalyzerUnavailable, match="broke the connection"):
        client.post({}, deadline=Deadline.after(60))


def test_post_proxy_of_the_environment_is_ignored(chat_server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    client = JsonClient(f"{chat_server.url}/nowhere", setting="LLM_BASE_URL")
    with pytest.raises(AnalyzerError, match="no such path"):
        client.post({})
    client.close()


@pytest.mark.parametrize(
    "message",
    [
        "Incorrect key tok-1234567 given",
        "Authorization: Bearer abcDEF.123-x was refused",
        "Incorrect API key: sk-proj-abcdefgh12345678",
        "see http://user:hidden@host.example/path?token=abcd1234#x",
        "x" * 290 + " tok-1234567",
    ],
)
def test_post_error_status_never_forwards_a_secret(client, chat_server, message):
    chat_server.replies.append(Reply(401, error_body(message)))
    with pytest.raises(AnalyzerError) as caught:
        client.post({})
    secrets = ("tok-1", "abcDEF", "sk-proj", "hidden", "abcd1234", "hush")
    assert not any(secret in caught.value.message for secret in secrets)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": "plain"}', "plain"),
        (b'{"title": "Not Found", "detail": "no model"}', "no model"),
        (b"just\r\n text\x00", "just text"),
        (b"<html><body>Bad Gateway", ""),
        (b'{"error": 5}', ""),
        (
            b'{"detail": [{"loc": ["body", "file"], "msg": "Field required"}]}',
            "body.file: Field required",
        ),
        (b'{"detail": ["too long", {"msg": "no text", "input": "secret"}]}', "too long; no text"),
        (b'{"errors": [{"field": "file", "message": "Send one."}]}', "Send one."),
        (b'{"detail": [[], 5, null]}', ""),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_readable_message_usual_shapes_give_one_line(body, expected):
    assert readable_message(body) == expected


def test_readable_message_long_text_is_shortened():
    assert len(readable_message(b"a" * 5_000)) == 300


def test_post_counts_the_bytes_that_were_sent(client, chat_server):
    chat_server.replies.append(Reply(body=b"{}"))
    call = Call("llm", "host")
    client.post({"messages": []}, call=call)
    headers, _ = chat_server.requests[-1]
    assert call.sent_bytes == int(headers["Content-Length"]) > 0


def test_post_to_an_unreachable_server_sends_nothing():
    call, client = Call("llm", "host"), JsonClient("http://127.0.0.1:9", setting="LLM_BASE_URL")
    with pytest.raises(AnalyzerUnavailable):
        client.post({"messages": []}, call=call)
    assert call.sent_bytes == 0


def test_post_that_is_abandoned_while_it_connects_sends_nothing_later(monkeypatch):
    may_connect, connect = threading.Event(), socket.create_connection

    def wait_and_connect(*arguments, **options):
        may_connect.wait(30)
        return connect(*arguments, **options)

    with closing(ChatServer()) as server:
        client = JsonClient(f"{server.base_url}/chat/completions", setting="LLM_BASE_URL")
        monkeypatch.setattr(socket, "create_connection", wait_and_connect)
        before = set(threading.enumerate())
        with pytest.raises(AnalyzerTimeout):
            client.post({"messages": []}, deadline=Deadline.after(0.05))
        [sending] = [t for t in threading.enumerate() if t not in before and t.name == "http-json"]
        may_connect.set()
        sending.join(30)
        assert server.requests == []
