"""Schemas of a scan's coverage and warnings; the OpenAPI document is generated from them."""

from __future__ import annotations

from typing import Any

from apiflask import Schema
from apiflask.fields import Boolean, Float, Integer, List, Nested, String


class CoverageOut(Schema):
    """How much of the document was read; text is never truncated."""

    characters = Integer(
        required=True,
        allow_none=True,
        metadata={"description": "null if only the service at AI_SERVICE_URL could read the file."},
    )
    sentences = Integer(required=True, allow_none=True)
    pages = Integer(required=True, allow_none=True)
    pages_without_text = List(Integer(), required=True)
    truncated = Boolean(required=True)
    language = String(
        required=True,
        allow_none=True,
        dump_default=None,
        metadata={
            "description": "Code (ISO 639-1) of the language with the largest share of the text; null "
            "if too little of it is words, and for scans older than this field."
        },
    )
    language_share = Float(
        required=True,
        allow_none=True,
        dump_default=None,
        metadata={
            "description": "Share of that language in the text, estimated from a sample: 0 to 1."
        },
    )


class WarningOut(Schema):
    """A reason to trust a result less."""

    code = String(required=True, metadata={"example": "language_not_read"})
    message = String(required=True)


def warning_list(attribute: str) -> List[Any]:
    """Return the field of a scan's warnings; POST answers have them in X-Riskscan-Warning headers."""
    return List(Nested(WarningOut), required=True, attribute=attribute, dump_default=[])
