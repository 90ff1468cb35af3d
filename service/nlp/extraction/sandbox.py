"""Starts the child that reads a document, and lets nothing but an answer or an error come out of it."""

from __future__ import annotations

import errno
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from service.errors import Overloaded, TooLarge, UnreadableDocument

ROOT = Path(__file__).resolve().parents[3]
_START = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from service.nlp.extraction.sandbox_worker import main; main()"
)
_STOPPED = (
    "The file could not be read: it is damaged, or built to exhaust its reader. "
    "Open it in the program that made it, save it anew and send that."
)
_READ_BYTES = 1_048_576
_EXHAUSTED = {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC}


def answer_of(
    data: bytes, order: dict[str, Any], *, timeout_s: float, max_answer_bytes: int
) -> tuple[dict[str, Any], memoryview]:
    """Return the child's answer to `order`: its line of JSON, and the bytes after it.

    Raises:
        TooLarge: it did not end within `timeout_s`.
        UnreadableDocument: it died, or its answer is invalid or too long.
        Overloaded: the system has no process, memory or file descriptor left for it.
    """
    until = time.monotonic() + timeout_s
    process = _start(data, order)
    try:
        answer = _read_all(process, until=until, max_bytes=max_answer_bytes)
        process.wait(timeout=max(0.0, until - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired) as error:
        raise _timeout(order) from error
    finally:
        _end(process)
    return _parsed(answer, order, process.returncode)


def _start(data: bytes, order: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the child with `data` on its standard input, passed in memory without a disk."""
    try:
        with os.fdopen(os.memfd_create("document"), "w+b") as document:
            document.write(data)
            document.seek(0)
            return _popen(order, document.fileno())
    except OSError as error:
        if error.errno not in _EXHAUSTED:
            raise
        raise Overloaded(
            "The system has no room for a process that reads the file. Try again in some seconds."
        ) from error


def _popen(order: dict[str, Any], document: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-c", _START, str(ROOT), json.dumps(order)]
    return subprocess.Popen(  # noqa: S603  our own interpreter, no shell, no word of the caller's
        command,
        stdin=document,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},  # the child sees no secret of the service
        cwd="/",
        start_new_session=True,
    )


def _read_all(process: subprocess.Popen[bytes], *, until: float, max_bytes: int) -> bytearray:
    assert process.stdout is not None  # noqa: S101  for the type checker: stdout is a pipe
    pipe = process.stdout.fileno()
    answer = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            left_s = until - time.monotonic()
            if left_s <= 0 or not selector.select(left_s):
                raise TimeoutError
            chunk = os.read(pipe, _READ_BYTES)
            if not chunk:
                return answer
            answer += chunk
            if len(answer) > max_bytes:
                raise UnreadableDocument(_STOPPED)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the child's whole group unless it was reaped, and reap it: no zombie stays."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _timeout(order: dict[str, Any]) -> TooLarge:
    return TooLarge(
        f"Reading the file did not end within {order['cpu_s']} s. Split the document, or ask the "
        "operator to raise EXTRACT_TIMEOUT_S."
    )


def _parsed(
    answer: bytearray, order: dict[str, Any], returncode: int
) -> tuple[dict[str, Any], memoryview]:
    if returncode in {-signal.SIGXCPU, -signal.SIGKILL}:  # the kernel: out of time or memory
        raise _timeout(order)
    line_end = answer.find(b"\n") + 1
    try:
        head = json.loads(answer[:line_end])
    except ValueError as error:
        raise UnreadableDocument(_STOPPED) from error
    if returncode != 0 or not isinstance(head, dict):
        raise UnreadableDocument(_STOPPED)
    if head.get("error") == TooLarge.code:
        raise TooLarge(str(head.get("message"))[:500])
    if "error" in head:
        raise UnreadableDocument(str(head.get("message"))[:500])
    return head, memoryview(answer)[line_end:]
