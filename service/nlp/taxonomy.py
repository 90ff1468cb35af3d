"""The taxonomy: the categories and risk types that a model finds, a value read from a taxonomy.json.

A model's artifact carries its own. `built_in` returns the one in this folder, which serves training and
artifacts without a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import islice
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from service.nlp.json_file import read_json

TAXONOMY_FILE = "taxonomy.json"
MAX_KEY_CHARS = 64
"""Width of the database's columns of keys."""
MAX_TITLE_CHARS = 255
"""Longest title of a risk or category, also from another service."""
_LISTED_KEYS = 50
RESERVED_CATEGORIES = frozenset({"none", "foreign"})
"""Names for sentences without a risk, and for categories outside the taxonomy, in figures and metrics."""


@dataclass(frozen=True, slots=True)
class RiskType:
    """A risk type; `example` is a sentence that states it."""

    key: str
    title: str
    definition: str
    example: str


@dataclass(frozen=True, slots=True)
class Category:
    """A category with its risk types, at least one."""

    key: str
    title: str
    definition: str
    risk_types: tuple[RiskType, ...]

    @property
    def example(self) -> str:
        """The example of its first risk type."""
        return self.risk_types[0].example


@dataclass(frozen=True)
class Taxonomy:
    """Categories with their risk types; `risk_types` has their keys in the order of a model's columns."""

    version: int
    categories: tuple[Category, ...]

    @cached_property
    def risk_types(self) -> tuple[str, ...]:
        """The keys of the risk types, one for each column of scores."""
        return tuple(self.risk_titles)

    @cached_property
    def category_keys(self) -> tuple[str, ...]:
        """The keys of the categories."""
        return tuple(self.category_titles)

    @cached_property
    def risk_titles(self) -> Mapping[str, str]:
        """The title of each risk type, by key."""
        return {risk.key: risk.title for c in self.categories for risk in c.risk_types}

    @cached_property
    def category_titles(self) -> Mapping[str, str]:
        """The title of each category, by key."""
        return {c.key: c.title for c in self.categories}

    @cached_property
    def columns(self) -> Mapping[str, int]:
        """The column of each risk type, by key."""
        return {key: column for column, key in enumerate(self.risk_types)}

    @cached_property
    def category_by_column(self) -> tuple[str, ...]:
        """The key of the category of each column."""
        return tuple(c.key for c in self.categories for _ in c.risk_types)

    def category_of(self, risk_type: str) -> str:
        """Return the category key of a risk type key. Raises KeyError for an unknown key."""
        return self.category_by_column[self.columns[risk_type]]

    def risk_title(self, risk_type: str | None, foreign: str | None) -> str:
        """Return the title of a risk type; without one, `foreign`, the title from another service.

        The title of a stored type that this taxonomy lacks is its key.
        """
        return self.risk_titles.get(risk_type, risk_type) if risk_type else foreign or ""

    def category_title(self, category: str | None, foreign: str | None) -> str:
        """Return the title of a category; without one, `foreign`, the title from another service."""
        return self.category_titles.get(category, category) if category else foreign or ""

    def risk_type_by_title(self, title: str) -> str | None:
        """Return the key of the risk type with this title, or None."""
        return self._risk_type_by_title.get(title)

    def category_by_title(self, title: str) -> str | None:
        """Return the key of the category with this title, or None."""
        return self._category_by_title.get(title)

    def as_json(self) -> str:
        """Return the content of a taxonomy.json."""
        categories = {
            c.key: {
                "title": c.title,
                "definition": c.definition,
                "risks": {
                    r.key: {"title": r.title, "definition": r.definition, "example": r.example}
                    for r in c.risk_types
                },
            }
            for c in self.categories
        }
        fields = {"version": self.version, "categories": categories}
        return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"

    @cached_property
    def _risk_type_by_title(self) -> Mapping[str, str]:
        return {title: key for key, title in self.risk_titles.items()}

    @cached_property
    def _category_by_title(self) -> Mapping[str, str]:
        return {title: key for key, title in self.category_titles.items()}


def key_named(name: str, titles: Mapping[str, str]) -> str | None:
    """Return the key in `titles` (title by key) whose key or title is `name`, ignoring case; or None."""
    folded = name.casefold()
    return next((k for k, title in titles.items() if folded in {k, title.casefold()}), None)


def unknown_name(titles: Mapping[str, str]) -> str:
    """Return the message for a name that is neither key nor title in `titles`; it lists the first keys."""
    keys = ", ".join(islice(titles, _LISTED_KEYS))
    more = f" and {len(titles) - _LISTED_KEYS} more" if len(titles) > _LISTED_KEYS else ""
    return f"Send one of these keys, or its title in GET /api/v1/taxonomy: {keys}{more}."


@cache
def built_in() -> Taxonomy:
    """Return the taxonomy of this folder."""
    path = Path(__file__).with_name(TAXONOMY_FILE)
    return read_taxonomy(path, remedy="Fetch it again from version control.")


def read_taxonomy(path: Path, *, remedy: str) -> Taxonomy:
    """Read a taxonomy.json.

    Raises:
        ArtifactError: the file is missing or invalid; the message names each invalid field and `remedy`.
    """
    return read_json(_File, path, remedy=remedy).taxonomy()


def parse_taxonomy(text: str) -> Taxonomy:
    """Return the taxonomy whose `as_json` is `text`; ValueError for any other text."""
    return _File.model_validate_json(text).taxonomy()


_Key = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=MAX_KEY_CHARS)
]
_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Title = Annotated[_Words, StringConstraints(max_length=MAX_TITLE_CHARS)]


class _Risk(BaseModel):
    title: _Title
    definition: _Words
    example: _Words


class _Category(BaseModel):
    title: _Title
    definition: _Words
    risks: Annotated[dict[_Key, _Risk], Field(min_length=1)]


class _File(BaseModel):
    """The content of a taxonomy.json; unknown fields are ignored."""

    version: Annotated[int, Field(strict=True, ge=1)]
    categories: Annotated[dict[_Key, _Category], Field(min_length=1)]

    @model_validator(mode="after")
    def _require_distinct_names(self) -> Self:
        """Refuse a key or title that names two entries, since clients may send either."""
        risks = [(key, r.title) for c in self.categories.values() for key, r in c.risks.items()]
        categories = [(key, c.title) for key, c in self.categories.items()]
        for kind, entries in (("risk types", risks), ("categories", categories)):
            if ambiguous := _ambiguous_name(entries):
                raise ValueError(f"{ambiguous!r} names two {kind}")
        if reserved := RESERVED_CATEGORIES & self.categories.keys():
            raise ValueError(f"{min(reserved)!r} cannot be the key of a category")
        return self

    def taxonomy(self) -> Taxonomy:
        return Taxonomy(
            self.version,
            tuple(
                Category(
                    key,
                    c.title,
                    c.definition,
                    tuple(
                        RiskType(risk_key, r.title, r.definition, r.example)
                        for risk_key, r in c.risks.items()
                    ),
                )
                for key, c in self.categories.items()
            ),
        )


def _ambiguous_name(entries: Iterable[tuple[str, str]]) -> str | None:
    """Return the first key or title that belongs to two of the (key, title) entries, or None."""
    seen: set[str] = set()
    for key, title in entries:
        names = {key, title.casefold()}
        if shared := names & seen:
            return min(shared)
        seen |= names
    return None
