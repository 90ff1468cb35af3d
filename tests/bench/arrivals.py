"""An open-loop load generator, in a process of its own: it sends each request when it is due.

The number of unanswered requests does not matter. It uses uvloop without a client library, since it shares
the machine with the server under test: asyncio's own loop took a sixth of two cores for 1,000 requests a
second. Imports nothing of ours.

Reads a plan. Writes when each request was due, sent and answered, on the clock that all processes of a
machine share (time.perf_counter on Linux), and its status, 0 without an answer.

    python arrivals.py plan.json answers.json
"""

import asyncio
import base64
import json
import re
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

_LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nConnection: *close", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """Sends one request at a time. Between requests it is in `idle`, until the server closes it."""

    def __init__(self, idle):
        self._idle = idle
        self._answer = None
        self._received = b""

    def connection_made(self, transport):
        self._transport = transport

    def send(self, request):
        """Send a request; return a future of its status."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data):
        self._received += data
        head, _, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if length is None or len(body) < int(length[1]):
            return
        self._received = b""
        if _CLOSE.search(head):
            self._transport.close()
        else:
            self._idle.append(self)
        self._end(int(head.split(maxsplit=2)[1]))

    def connection_lost(self, _error):
        if self in self._idle:
            self._idle.remove(self)
        self._end(0)

    def _end(self, status):
        if not self._answer.done():
            self._answer.set_result(status)


async def run(plan):
    """Send the requests of the plan at equal intervals, `per_s` a second."""
    address, idle, answers = urlsplit(plan["url"]), [], []
    loop = asyncio.get_running_loop()
    requests = [_encode(address.netloc, *request) for request in plan["requests"]]

    async def send(request, due_s):
        sent_s = time.perf_counter()
        try:
            async with asyncio.timeout(plan["patience_s"]):
                if idle:
                    connection = idle.pop()
                else:
                    _, connection = await loop.create_connection(
                        lambda: Connection(idle), address.hostname, address.port
                    )
                status = await connection.send(request)
        except OSError:  # no connection, or no answer: TimeoutError is one too
            status = 0
        answers.append((due_s, sent_s, time.perf_counter(), status))

    cpu_s, began_s = time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as sending:
        for i, request in enumerate(requests):
            due_s = began_s + i / plan["per_s"]
            await asyncio.sleep(due_s - time.perf_counter())
            sending.create_task(send(request, due_s))
    elapsed_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    return {"began_s": began_s, "answers": answers, "cpu_s": cpu_s, "elapsed_s": elapsed_s}


def _encode(host, path, headers, body):
    body = base64.b64decode(body)
    headers = {"Host": host, "Content-Length": len(body), **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


if __name__ == "__main__":
    output = uvloop.run(run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
    Path(sys.argv[2]).write_text(json.dumps(output), encoding="utf-8")
