"""The taxonomy: 13 categories with 37 risk types, from taxonomy.json, which is the only list of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

_DATA: dict[str, Any] = json.loads(
    files("service.nlp").joinpath("taxonomy.json").read_text(encoding="utf-8")
)

VERSION: int = _DATA["version"]
CATEGORY_TITLES: dict[str, str] = {key: c["title"] for key, c in _DATA["categories"].items()}
RISK_TITLES: dict[str, str] = {
    key: risk["title"] for c in _DATA["categories"].values() for key, risk in c["risks"].items()
}
CATEGORIES: tuple[str, ...] = tuple(CATEGORY_TITLES)
RISK_TYPES: tuple[str, ...] = tuple(RISK_TITLES)

DESCRIPTIONS: list[dict[str, Any]] = [
    {
        "key": key,
        "title": c["title"],
        "definition": c["definition"],
        "risk_types": [{"key": risk_type, **risk} for risk_type, risk in c["risks"].items()],
    }
    for key, c in _DATA["categories"].items()
]
"""The categories with their risk types, each with `key`, `title`, `definition` and `example`."""

_CATEGORY_BY_RISK: dict[str, str] = {
    risk: key for key, c in _DATA["categories"].items() for risk in c["risks"]
}
_TYPE_BY_TITLE: dict[str, str] = {title: risk for risk, title in RISK_TITLES.items()}
_CATEGORY_BY_TITLE: dict[str, str] = {title: key for key, title in CATEGORY_TITLES.items()}
MAX_TITLE_CHARS = 255
"""Longest title of a risk or category from another service."""


def risk_category(risk_type: str) -> str:
    """Return the category key of a risk type key. Raises KeyError for an unknown key."""
    return _CATEGORY_BY_RISK[risk_type]


def key_named(name: str, titles: Mapping[str, str]) -> str | None:
    """Return the key in `titles` (title by key) whose key or title is `name`, ignoring case; or None."""
    folded = name.casefold()
    return next((k for k, title in titles.items() if folded in {k, title.casefold()}), None)


def risk_type_by_title(title: str) -> str | None:
    """Return the key of the risk type with this title, or None."""
    return _TYPE_BY_TITLE.get(title)


def category_by_title(title: str) -> str | None:
    """Return the key of the category with this title, or None."""
    return _CATEGORY_BY_TITLE.get(title)


def risk_title(risk_type: str | None, foreign: str | None) -> str:
    """Return the title of a risk type; without one, `foreign`, the title from another service.

    If a stored type is no longer in the taxonomy, its key is the title.
    """
    return RISK_TITLES.get(risk_type, risk_type) if risk_type else foreign or ""


def category_title(category: str | None, foreign: str | None) -> str:
    """Return the title of a category; without one, `foreign`, the title from another service."""
    return CATEGORY_TITLES.get(category, category) if category else foreign or ""
