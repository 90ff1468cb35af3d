"""The kind of a document, such as contract or policy: from the row, or from a file of patterns."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from service.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Kinds:
    """Patterns by kind, in the order in which they are tried."""

    patterns: Mapping[str, list[str]]

    def of(self, row: Mapping[str, Any]) -> str:
        """Return the row's own "kind", else the first kind whose pattern matches; empty if none does.

        A pattern with the wildcards of file names is matched against the row's "domain", "source" and "doc",
        ignoring case.
        """
        if row.get("kind"):
            return str(row["kind"])
        names = [str(row.get(key, "")).casefold() for key in ("domain", "source", "doc")]
        for kind, patterns in self.patterns.items():
            if any(fnmatchcase(name, p.casefold()) for name in names for p in patterns):
                return kind
        return ""


NO_KINDS = Kinds({})


def read_kinds(path: Path) -> Kinds:
    """Read a TOML file of `kind = [patterns]`.

    Raises:
        ConfigError: the file is missing or malformed.
    """
    try:
        kinds = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"kinds: {path} cannot be read ({error}).") from error
    for kind, patterns in kinds.items():
        if not isinstance(patterns, list) or not all(isinstance(p, str) for p in patterns):
            raise ConfigError(f"{path}: {kind} must be a list of patterns.")
    return Kinds(kinds)
