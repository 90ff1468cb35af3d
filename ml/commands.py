"""Command lines to copy, with the current interpreter as a path from the repository's root."""

from __future__ import annotations

import sys
from pathlib import Path

from service.config.settings import ROOT


def command(module: str, *arguments: object) -> str:
    """Return the command that runs `module`, such as `.venv-test/bin/python -m ml train CONFIG`."""
    return " ".join([_python(), "-m", module, *map(str, arguments)])


def _python() -> str:
    interpreter = Path(sys.executable)
    return str(interpreter.relative_to(ROOT) if interpreter.is_relative_to(ROOT) else interpreter)
