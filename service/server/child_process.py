"""Supervision of a child process that runs `main` of one of our modules and has a GIL of its own."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import threading
from collections.abc import Iterable

from service.config.isolated_process import start_isolated

_log = logging.getLogger(__name__)


class ChildProcess:
    """A supervised child process; `ensure_running` starts it, or restarts it after it died."""

    def __init__(self, module: str, descriptors: Iterable[int]) -> None:
        """The process runs `main` of `module`; its arguments are the numbers of `descriptors`."""
        self._module = module
        self._descriptors = tuple(descriptors)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ended = False
        self._lock = threading.Lock()  # for start and end; a write may block, so it takes no lock

    def ensure_running(self) -> bool:
        """Start the process unless it runs or `end` was called; return whether this call started it.

        Raises:
            OSError: the system cannot start a process.
        """
        with self._lock:
            process = self._process
            if self._is_ended or (process is not None and process.poll() is None):
                return False
            if process is not None:
                _log.error(
                    "%s died with exit status %s; restarting it", self._module, process.returncode
                )
                self._reap()
            self._process = self._start()
            return True

    def write(self, line: bytes) -> None:
        """Write to the process's standard input.

        Raises:
            OSError: the process is not running.
        """
        process = self._process  # `end` may clear the attribute meanwhile
        if process is None or process.stdin is None:
            raise BrokenPipeError
        try:
            process.stdin.write(line)
            process.stdin.flush()
        except ValueError as error:  # `end` has closed it meanwhile
            raise BrokenPipeError from error

    def end(self) -> None:
        """Kill and reap the process for good; it has no state to save.

        This also ends a write to it that blocks in another thread.
        """
        with self._lock:
            self._is_ended = True
            self._reap()

    def _start(self) -> subprocess.Popen[bytes]:
        return start_isolated(
            self._module,
            *map(str, self._descriptors),
            stdin=subprocess.PIPE,
            pass_fds=self._descriptors,
        )

    def _reap(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # unwritten data cannot be flushed
                process.stdin.close()
