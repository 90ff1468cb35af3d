"""The figures of the frozen plain sets as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ml.evaluation.markdown_table import markdown_table

Sets = Mapping[str, Mapping[str, Any]]


def plain_sentences(sets: Sets) -> str:
    """Return a table with one column for each set; empty without any."""
    if not sets:
        return ""
    rows = [["sentences", *(str(s["data"]["sentences"]) for s in sets.values())]]
    rows += [
        [title, *(_percent(s[key]) for s in sets.values())]
        for key, title in (
            ("recall", "risks found"),
            ("category_recall", "categories found"),
            ("type_recall", "types found"),
            ("false_alarms", "false alarms among the near misses"),
        )
    ]
    rows += _block(sets, "by_kind", "false_alarms", "false alarms, ")
    rows += _block(sets, "unchanged", "share", "verdict unchanged, ")
    return (
        "Frozen sets (ml/data/README.md) at the point balanced, each sentence alone. A false alarm is a\n"
        "near miss in which a risk is found; a verdict is risk or none.\n\n"
        + markdown_table(["", *sets], rows)
    )


def _block(sets: Sets, block: str, key: str, title: str) -> list[list[str]]:
    names = list(dict.fromkeys(name for s in sets.values() for name in s[block]))
    return [
        [
            title + name,
            *(_percent(s[block][name][key]) if name in s[block] else "-" for s in sets.values()),
        ]
        for name in names
    ]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"
