"""Reads an untrusted document in a child process; only extracted text or an error comes out.

The child (sandbox_worker.py) runs under limits that the kernel enforces.
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from service.config.isolated_process import start_isolated
from service.errors import Overloaded, TooLarge, UnreadableDocument

WORKER = "service.nlp.extraction.sandbox_worker"

_CRASHED = (
    "The file could not be read: it is damaged, or built to exhaust its reader. "
    "Open it in the program that created it, save it again and send the new file."
)
_READ_BYTES = 1_048_576
_EXHAUSTED = {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC}


@dataclass(frozen=True, slots=True)
class ReadJob:
    """What a child does: `reader` is "module:function", called with `options` as keyword arguments."""

    reader: str
    options: Mapping[str, Any]
    max_chars: int
    memory_bytes: int
    cpu_s: int
    keeps_pictures: bool = False
    """Whether the answer has the PDFs, of a file that contains others, whose pages OCR may read."""


def read_in_sandbox(
    data: bytes, job: ReadJob, *, timeout_s: float, max_answer_bytes: int, worker: str = WORKER
) -> tuple[dict[str, Any], memoryview]:
    """Run `job` on `data` in a child process; return its answer: a JSON object, and the bytes after it.

    The caller must validate the answer, since a hostile document may have taken over the child.

    Raises:
        TooLarge: the child did not finish within `timeout_s`.
        UnreadableDocument: the child crashed, or its answer is malformed or too long.
        Overloaded: the system has no process, memory or file descriptor left for a child.
    """
    try:
        answer, returncode = run_limited(
            worker,
            json.dumps(asdict(job)),
            data,
            timeout_s=timeout_s,
            max_answer_bytes=max_answer_bytes,
        )
    except TimeoutError as error:
        raise _timeout(job) from error
    return _parse(answer, job, returncode)


def run_limited(
    worker: str, argument: str, data: bytes, *, timeout_s: float, max_answer_bytes: int
) -> tuple[bytearray, int]:
    """Run the module `worker`, which limits itself, on `data`; return what it writes and its exit status.

    Raises:
        TimeoutError: the child did not finish within `timeout_s`, and was killed.
        UnreadableDocument: its answer is too long.
        Overloaded: the system has no process, memory or file descriptor left for a child.
    """
    until_s = time.monotonic() + timeout_s
    process = _start(data, argument, worker)
    try:
        answer = _read_all(process, until_s=until_s, max_bytes=max_answer_bytes)
        process.wait(timeout=max(0.0, until_s - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    finally:
        _end(process)
    return answer, process.returncode


def _start(data: bytes, argument: str, worker: str) -> subprocess.Popen[bytes]:
    """Start the child with `data` as its standard input, held in memory and never on disk."""
    try:
        with os.fdopen(os.memfd_create("document"), "w+b") as document:
            document.write(data)
            document.seek(0)
            return start_isolated(
                worker,
                argument,
                stdin=document,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
    except OSError as error:
        if error.errno not in _EXHAUSTED:
            raise
        raise Overloaded(
            "The system has no room for a process that reads the file. Try again in a few seconds."
        ) from error


def _read_all(process: subprocess.Popen[bytes], *, until_s: float, max_bytes: int) -> bytearray:
    assert process.stdout is not None  # noqa: S101 - for the type checker: stdout is a pipe
    pipe = process.stdout.fileno()
    answer = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            left_s = until_s - time.monotonic()
            if left_s <= 0 or not selector.select(left_s):
                raise TimeoutError
            chunk = os.read(pipe, _READ_BYTES)
            if not chunk:
                return answer
            answer += chunk
            if len(answer) > max_bytes:
                raise UnreadableDocument(_CRASHED)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the child's process group unless it has ended, and reap the child."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _timeout(job: ReadJob) -> TooLarge:
    return TooLarge(
        f"Reading the file did not end within {job.cpu_s} s. Split the document, or ask the "
        "operator to raise EXTRACT_TIMEOUT_S."
    )


def _parse(answer: bytearray, job: ReadJob, returncode: int) -> tuple[dict[str, Any], memoryview]:
    if returncode in {-signal.SIGXCPU, -signal.SIGKILL}:  # the kernel's limits on time and memory
        raise _timeout(job)
    line_end = answer.find(b"\n") + 1
    try:
        head = json.loads(answer[:line_end])
    except ValueError as error:
        raise UnreadableDocument(_CRASHED) from error
    if returncode != 0 or not isinstance(head, dict):
        raise UnreadableDocument(_CRASHED)
    if head.get("error") == TooLarge.code:
        raise TooLarge(str(head.get("message"))[:500])
    if "error" in head:
        raise UnreadableDocument(str(head.get("message"))[:500])
    return head, memoryview(answer)[line_end:]
