"""A process beside the service, with an interpreter's lock of its own; it ends with the service.

It runs `main` of a module of ours that imports no framework.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from collections.abc import Iterable

from service.config import ROOT

_log = logging.getLogger(__name__)

_START = (
    "import importlib, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "importlib.import_module(sys.argv.pop(1)).main()"
)


class ChildProcess:
    """A process that is started when it is looked after, and again when it has ended since."""

    def __init__(self, module: str, descriptors: Iterable[int]) -> None:
        """It will run `module`'s main and inherit `descriptors`, whose numbers are its arguments."""
        self._module = module
        self._descriptors = tuple(descriptors)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def has_started(self) -> bool:
        """Whether there is a process, which may have ended since it was looked after."""
        return self._process is not None

    def look_after(self) -> bool:
        """Start the process where it does not run; return whether that was so.

        Raises:
            OSError: the machine lets no process start.
        """
        if process := self._process:
            if process.poll() is None:
                return False
            _log.error("%s ended (%s); starting another", self._module, process.returncode)
            self.end()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter, no shell, no word of a caller's
            [
                sys.executable,
                "-I",
                "-c",
                _START,
                str(ROOT),
                self._module,
                *map(str, self._descriptors),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=self._descriptors,
            env={},  # the process sees no secret of the service
            cwd="/",
            start_new_session=True,
        )
        return True

    def write(self, line: bytes) -> None:
        """Write to its standard input; OSError where it does not run."""
        process = self._process  # which another thread may end meanwhile
        if process is None or process.stdin is None:
            raise BrokenPipeError
        process.stdin.write(line)
        process.stdin.flush()

    def end(self) -> None:
        """Kill and reap the process, if there is one; it holds nothing that would have to be saved.

        A write that it holds up in another thread ends with it.
        """
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # of what was still to be written to it
                process.stdin.close()
