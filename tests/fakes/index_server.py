"""An index service as docs/indexer.md describes it, with an index of words in memory, on loopback."""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

TOKEN = "index-secret"
Reply = tuple[int, bytes, dict[str, str]]
"""Status, body and headers."""


class IndexServer:
    """Holds `items` by id. A test makes it fail: each of `replies` replaces an answer of `/v1/query`.

    While `gate` is closed, no request is answered. `status` answers all requests if it is set, and 500 those
    for the ids in `broken`. `foreign` are ids that each query names first, whoever asks.
    """

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.queries: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str]] = []
        self.replies: deque[Reply] = deque()
        self.foreign: list[str] = []
        self.broken: set[str] = set()
        self.status: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self._http = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"of": self})
        )
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def find(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Rank the reader's items by how many words of `q` they have."""
        self.queries.append(asked)
        words, reader = _words(asked["q"]), asked["reader"]
        found = [{"id": item_id, "score": 1e6} for item_id in self.foreign]
        for item_id, item in self.items.items():
            may_read = item["everyone"] or item["owner"] == reader["id"]
            may_read = may_read or bool(set(item["teams"]) & set(reader["teams"]))
            score = len(words & _words(f"{item['title']} {item['text']}"))
            if may_read and score and item["kind"] in asked["kinds"]:
                found.append({"id": item_id, "score": score})
        found.sort(key=lambda hit: -hit["score"])
        return {"items": found[: asked["limit"]]}

    def listed(self, query: dict[str, list[str]]) -> dict[str, Any]:
        after, limit = query.get("after", [""])[0], int(query["limit"][0])
        ids = sorted(item_id for item_id in self.items if item_id > after)[:limit]
        return {"items": [{"id": i, "version": self.items[i]["version"]} for i in ids]}

    def close(self) -> None:
        self.gate.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


class _Handler(BaseHTTPRequestHandler):
    of: ClassVar[IndexServer]

    def do_GET(self) -> None:
        self._answer(lambda _: self.of.listed(parse_qs(urlsplit(self.path).query)))

    def do_PUT(self) -> None:
        self._answer(lambda item: self.of.items.update({self._id(): item}))

    def do_DELETE(self) -> None:
        self._answer(lambda _: self.of.items.pop(self._id(), None) and None)

    def do_POST(self) -> None:
        self._answer(self.of.find)

    def _id(self) -> str:
        return self.path.removeprefix("/v1/items/")

    def _answer(self, action: Callable[[Any], Any]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.of.requests.append((self.command, self.path))
        self.of.gate.wait()
        try:
            self._send(*self._reply(action, body))
        except ConnectionError:  # the client has hung up
            self.close_connection = True

    def _reply(self, action: Callable[[Any], Any], body: bytes) -> Reply:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, b"{}", {}
        if self.of.status is not None:
            return self.of.status, b"{}", {}
        if self._id() in self.of.broken:
            return 500, b"{}", {}
        if self.command == "POST" and self.of.replies:
            return self.of.replies.popleft()
        return 200, json.dumps(action(json.loads(body or b"null")) or {}).encode(), {}

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass
