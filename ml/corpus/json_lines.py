"""Files of sentences, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml.settings import DATA_VARIABLE
from service.errors import RiskscanError


class DatasetError(RiskscanError):
    """A file of sentences is missing, or a line of it cannot be used."""


def rows_of(path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each row of the file, and where it is, for messages.

    Raises:
        DatasetError: no such file, it is not UTF-8, or a line is no JSON object of whole characters.
    """
    if not path.is_file():
        raise DatasetError(
            f"There is no {path}. Sentences of real documents are not in the repository: put the "
            f"file there, set {DATA_VARIABLE} to its folder, or name another under [data] of the "
            "configuration file."
        )
    try:
        with path.open(encoding="utf-8-sig") as lines:
            for n, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(line, f"{path}, line {n}"), f"{path}, line {n}"
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8. Save it as UTF-8.") from error


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise DatasetError(f'{where}: expected {{"text": ..., "labels": [...]}}.') from error
    if not isinstance(row, dict):
        raise DatasetError(f'{where}: expected {{"text": ..., "labels": [...]}}.')
    if "\\u" in line and _has_half_character(row):
        raise DatasetError(f"{where}: an escape such as \\ud83d is half a character; remove it.")
    return row


def _has_half_character(row: dict[str, Any]) -> bool:
    """Return whether a text has one half of a surrogate pair, which UTF-8 cannot hold."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False
