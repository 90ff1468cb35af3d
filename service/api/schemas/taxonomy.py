"""The taxonomy: categories and risk types."""

from __future__ import annotations

from apiflask import Schema
from apiflask.fields import Integer, List, Nested, String


class RiskTypeOut(Schema):
    key = String(required=True)
    title = String(required=True)
    definition = String(required=True)
    example = String(required=True, metadata={"description": "A sentence that states this risk."})


class CategoryOut(RiskTypeOut):
    """A category; its example is that of its first risk type."""

    risk_types = List(Nested(RiskTypeOut), required=True)


class TaxonomyOut(Schema):
    version = Integer(required=True)
    categories = List(Nested(CategoryOut), required=True)
