"""Lists the keys and titles of the serving model's taxonomy in the OpenAPI document.

Schemas are built before a model is loaded, so their fields carry a mark, which `with_names` replaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from service.nlp.taxonomy import Taxonomy

MARK = "x-taxonomy"
Mark = Literal[
    "category key", "risk type key", "category", "risk type", "risk type only", "category only"
]
"""A key in a response; a key or title in a filter; or one that the serving model must have.

All but the last two may also be of another model's taxonomy, for stored findings.
"""


def with_names(node: Any, taxonomy: Taxonomy) -> Any:  # noqa: ANN401 - any part of the document
    """Return the part `node` of an OpenAPI document with each mark replaced by names of `taxonomy`."""
    return _replace(node, _schemas(taxonomy))


def _schemas(taxonomy: Taxonomy) -> dict[Mark, dict[str, Any]]:
    categories, risks = taxonomy.category_titles, taxonomy.risk_titles
    return {
        "category key": _open([*categories]),
        "risk type key": _open([*risks]),
        "category": _open(_names(categories)),
        "risk type": _open(_names(risks)),
        "risk type only": {"enum": _names(risks)},
        "category only": {"enum": _names(categories)},
    }


def _names(titles: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys([*titles, *titles.values()]))


def _open(names: list[str]) -> dict[str, Any]:
    return {"anyOf": [{"enum": names}, {}]}


def _replace(node: Any, schemas: Mapping[Mark, dict[str, Any]]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(node, dict):
        replaced = {key: _replace(value, schemas) for key, value in node.items() if key != MARK}
        return replaced | schemas[node[MARK]] if MARK in node else replaced
    return [_replace(item, schemas) for item in node] if isinstance(node, list) else node
