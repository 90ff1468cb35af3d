"""Read the .env file as Docker Compose reads it. Nothing else reads the file.

Imports only errors.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from pathlib import Path

from dotenv.parser import Binding, parse_stream

from service.errors import ConfigError

_QUOTED = re.compile(r"(['\"])(.*?)\1", re.DOTALL)
_SIMILARITY = 0.84
"""Minimum similarity, from 0 to 1, of a misspelling: SCAN_RATELIMIT has 0.97, HTTP_PROXY 0.7."""


def read_env_file(
    path: Path, names: Collection[str], *, other_names: Collection[str] = ()
) -> dict[str, str]:
    """Return the values that the file gives to `names`; the last line for a name counts.

    Rejects a value with a backslash, a $ outside of single quotes or a # outside of quotes, since Compose
    and python-dotenv treat these differently. Rejects a name that resembles one of `names` or `other_names`
    as a misspelling. Ignores any other name, which belongs to another program.

    Raises:
        ConfigError: the file cannot be read, or a line is invalid, ambiguous or misspelled.
    """
    try:
        with path.open(encoding="utf-8") as file:
            lines = list(parse_stream(file))
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"The settings in {path} cannot be read ({type(error).__name__}). Make it a UTF-8 file that "
            "this user may read, or name another with RISKSCAN_ENV_FILE (empty: none)."
        ) from error
    for line in lines:
        _check(line, path, names)
        _check_spelling(line, path, {*names, *other_names})
    return {
        line.key: line.value
        for line in lines
        if line.key and line.key in names and line.value is not None
    }


def _check(line: Binding, path: Path, names: Collection[str]) -> None:
    location = f"{path}, line {_line_number(line)}"
    if line.error:
        raise ConfigError(
            f"{location} cannot be read; write NAME=value or NAME='value'; only a # comment may follow."
        )
    if line.key in names and line.value is not None and not _has_one_meaning(line):
        raise ConfigError(
            f"{location}: {line.key} has a $, # or backslash, which programs read differently. Put a value "
            "with $ or # between single quotes; set one with a backslash in the environment instead."
        )


def _check_spelling(line: Binding, path: Path, known: Collection[str]) -> None:
    if line.key is None or line.key in known or line.key.startswith("COMPOSE_"):
        return
    similar = difflib.get_close_matches(line.key.upper(), known, n=1, cutoff=_SIMILARITY)
    if similar:
        raise ConfigError(
            f"{path}, line {_line_number(line)}: there is no setting {line.key}; did you mean {similar[0]}?"
        )


def _has_one_meaning(line: Binding) -> bool:
    value = line.original.string.partition("=")[2].lstrip()
    quoted = _QUOTED.match(value)
    if quoted is None:
        return not set(line.value or "") & set("$#\\")
    return not set(quoted[2]) & set("\\" if quoted[1] == "'" else "$\\")


def _line_number(line: Binding) -> int:
    """Return the line of the statement; python-dotenv's binding starts at the empty lines before it."""
    text = line.original.string
    return line.original.line + text[: len(text) - len(text.lstrip())].count("\n")
