"""An AI service of the older contract, which has only POST /scan with a multipart `file` or `text`.

It splits sentences after punctuation and at blank lines, and finds risks by keyword rules. It answers an
unreadable request as FastAPI does: 422 with a list in `detail`.
"""

from __future__ import annotations

import io
import json
import re
from typing import Any

from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from service.nlp.taxonomy import built_in
from tests.fakes.loopback import LoopbackServer, Reply
from tests.fakes.rules import risk_types

CATEGORY_TITLES = built_in().category_titles
RISK_TITLES = built_in().risk_titles

UNREADABLE = {"detail": [{"type": "missing", "loc": ["body", "text"], "msg": "Field required"}]}


class ScanServer(LoopbackServer):
    """`requests` records the fields of each form; a file is (file name, bytes, media type)."""

    path = "/scan"

    def read(self, headers: dict[str, str], body: bytes) -> Any:
        media_type, options = parse_options_header(headers["Content-Type"])
        if media_type != "multipart/form-data":
            return None
        parser = FormDataParser(max_form_memory_size=None)
        _, form, files = parser.parse(io.BytesIO(body), media_type, len(body), options)
        sent = {}
        for name, file in files.items():
            with file.stream:
                sent[name] = (file.filename, file.stream.read(), file.content_type)
        return {**form.to_dict(), **sent}

    def reply(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        form = self.read(headers, body)
        if not self.replies and (form is None or not form.keys() & {"file", "text"}):
            self.replies.append(Reply(422, json.dumps(UNREADABLE).encode()))
        return super().reply(path, headers, body)

    def answer(self, request: Any) -> Any:
        text = request["text"] if "text" in request else request["file"][1].decode()
        sentences = re.split(r"(?<=[.!?])\s+|\n\n+", text)
        data = [item(risk, s.strip()) for s in sentences for risk in risk_types(s)]
        return {"data": data, "source": "llm" if request.get("force_llm") == "true" else "model"}

    def say(self, answer: Any) -> None:
        """Answer the next request with `answer`, whatever it asks."""
        self.replies.append(Reply(body=json.dumps(answer).encode()))


def item(risk_type: str, context: str) -> dict[str, str]:
    category = CATEGORY_TITLES[built_in().category_of(risk_type)]
    return {"risk": RISK_TITLES[risk_type], "category": category, "context": context}
