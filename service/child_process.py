"""A process beside the service, with an interpreter's lock of its own; it ends with the service.

It runs `main` of a module of ours that imports no framework.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterable

from service.config import ROOT

Process = subprocess.Popen[bytes]

_START = (
    "import importlib, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "importlib.import_module(sys.argv.pop(1)).main()"
)


def start(module: str, descriptors: Iterable[int]) -> Process:
    """Start `module`'s main; it inherits `descriptors`, whose numbers are its arguments.

    Raises:
        OSError: the machine lets no process start.
    """
    descriptors = tuple(descriptors)
    return subprocess.Popen(  # noqa: S603 - our own interpreter, no shell, no word of a caller's
        [sys.executable, "-I", "-c", _START, str(ROOT), module, *map(str, descriptors)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=descriptors,
        env={},  # the process sees no secret of the service
        cwd="/",
        start_new_session=True,
    )


def end(process: Process | None) -> None:
    """Kill and reap the process; it holds nothing that would have to be saved."""
    if process is None:
        return
    process.kill()
    process.wait()
    if process.stdin is not None:
        with contextlib.suppress(OSError):  # of what was still to be written to it
            process.stdin.close()
