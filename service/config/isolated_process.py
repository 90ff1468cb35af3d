"""Starts a module of this project in a separate Python process that sees none of the service's secrets."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from typing import IO

from service.config.cpus import all_cpus
from service.config.settings import ROOT

# -I ignores the environment and the working directory, so the child finds the project by this argument alone.
_CALL_MAIN = (
    "import importlib, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "importlib.import_module(sys.argv.pop(1)).main()"
)


def start_isolated(
    module: str,
    *arguments: str,
    stdin: int | IO[bytes],
    stdout: int = subprocess.DEVNULL,
    stderr: int | None = None,
    pass_fds: Iterable[int] = (),
) -> subprocess.Popen[bytes]:
    """Run `module.main()` with `arguments` in sys.argv, in a process group of its own.

    The child has an empty environment and "/" as its working directory.

    Raises:
        OSError: the system has no process, memory or file descriptor left.
    """
    with all_cpus():
        return subprocess.Popen(  # noqa: S603 - our own interpreter, no shell
            [sys.executable, "-I", "-c", _CALL_MAIN, str(ROOT), module, *arguments],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            env={},
            cwd="/",
            start_new_session=True,
        )
