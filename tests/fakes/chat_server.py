"""A chat-completions server that finds risks in the numbered sentences by keyword rules."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes.loopback import LoopbackServer, Reply
from tests.fakes.rules import risk_types

USAGE = {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150}


class ChatServer(LoopbackServer):
    """Supports json_schema and json_object; without response_format it puts prose around the JSON."""

    path = "/v1/chat/completions"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def answer(self, request: Any) -> Any:
        sentences = json.loads(request["messages"][-1]["content"])
        findings = [
            {"sentence": s["sentence"], "risk_type": risk}
            for s in sentences
            for risk in risk_types(s["text"])
        ]
        content = json.dumps({"findings": findings})
        if "response_format" not in request:
            content = f"Let me see [1] {{sure}}.\n```json\n{content}\n```\nThat is all."
        return completion(content)

    def say(self, content: str | None, finish_reason: str = "stop") -> None:
        """Answer the next request with this content, whatever it asks."""
        self.replies.append(Reply(body=json.dumps(completion(content, finish_reason)).encode()))


def completion(content: str | None, finish_reason: str = "stop") -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"object": "chat.completion", "choices": [choice], "usage": dict(USAGE)}
