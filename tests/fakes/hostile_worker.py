"""Replaces the sandbox's worker as if a document had taken it over: it runs any code."""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from service.nlp.extraction.text_builder import TextBuilder


def main() -> None:
    """Run the job's option `code` without any limits."""
    exec(json.loads(sys.argv[1])["options"]["code"])


def report_attempts(_data: bytes, builder: TextBuilder, *, path: str, port: int) -> None:
    """Extract, instead of a document, what a document that took the reader over can do, as JSON."""
    attempts = {
        "read": lambda: Path(path).read_bytes(),
        "truncate": lambda: os.truncate(path, 0),
        "create": lambda: Path(f"{path}.new").touch(),
        "rename": lambda: Path(path).rename(f"{path}.old"),
        "delete": lambda: Path(path).unlink(),
        "connect": lambda: socket.create_connection(("127.0.0.1", port)),
        "execute": lambda: os.execv("/bin/true", ["true"]),
    }
    builder.add(json.dumps([name for name, attempt in attempts.items() if _succeeds(attempt)]))


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except PermissionError:
        return False
    return True


def report_limits(_data: bytes, builder: TextBuilder) -> None:
    """Extract, instead of a document, the kernel's limits on this process as JSON."""
    names = (
        "RLIMIT_AS",
        "RLIMIT_CPU",
        "RLIMIT_FSIZE",
        "RLIMIT_CORE",
        "RLIMIT_NOFILE",
        "RLIMIT_NPROC",
    )
    limits = {name: resource.getrlimit(getattr(resource, name))[1] for name in names}
    builder.add(json.dumps(limits))
