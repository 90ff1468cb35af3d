"""Escapes what an LLM server may read as marks of its own, in the JSON of a prompt."""

from __future__ import annotations

import re

# Marks of chat templates (<|im_end|>, <s>, [INST]), and invisible characters, which can hide text.
_MARKS = re.compile(
    r"<|\uff1c|\[(?=/?[A-Z_]+\])|[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f"
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def escape_marks(json_text: str) -> str:
    """Return JSON that means the same, and whose strings form no mark of a chat template."""
    return _MARKS.sub(_escaped, json_text)


def _escaped(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
