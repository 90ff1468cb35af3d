"""An AI service: POST /scan, sentences cut by line and full stop, findings by keyword rules."""

from __future__ import annotations

import json
import re
from typing import Any

from service.nlp.taxonomy import CATEGORY_TITLES, RISK_TITLES, category_of
from tests.fakes.loopback import LoopbackServer, Reply
from tests.fakes.rules import risk_types


class ScanServer(LoopbackServer):
    path = "/scan"

    def answer(self, request: Any) -> Any:
        sentences = re.split(r"(?<=[.!?])\s+|\n\n+", request["text"])
        data = [item(risk, s.strip()) for s in sentences for risk in risk_types(s)]
        return {"data": data, "source": "llm" if request["force_llm"] else "model"}

    def say(self, answer: Any) -> None:
        """Make the next answer `answer`, whatever is asked."""
        self.replies.append(Reply(body=json.dumps(answer).encode()))


def item(risk_type: str, context: str) -> dict[str, str]:
    category = CATEGORY_TITLES[category_of(risk_type)]
    return {"risk": RISK_TITLES[risk_type], "category": category, "context": context}
