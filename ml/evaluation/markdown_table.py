"""Markdown tables and intervals, for every report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def markdown_table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    rows = ["| " + " | ".join(cells) + " |" for cells in (head, *lines)]
    return "\n".join([rows[0], "|---" * len(head) + "|", *rows[1:]])


def interval(m: Mapping[str, Any] | None) -> str:
    """Return a value with its interval, if it has one; a dash for None."""
    if m is not None and m["low"] is None:
        return f"{m['value']:.3f}"
    return "-" if m is None else f"{m['value']:.3f} [{m['low']:.3f}, {m['high']:.3f}]"
