"""Fields and the base schema that several nouns share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiflask import Schema
from apiflask.fields import Boolean, Integer, String
from apiflask.validators import Length, Range
from marshmallow import RAISE, ValidationError, validates_schema

from service.nlp.taxonomy import key_named

MAX_INT = 2**31 - 1
"""The largest value of an INTEGER column."""
_FLAG_EXPECTED = "Send true or false; on, off, yes, no, 1 and 0 are accepted too."


class StrictSchema(Schema):
    """Rejects unknown fields, and reports faults of single fields and of field combinations together."""

    class Meta:
        unknown = RAISE

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_across_fields(self, data: dict[str, Any], raw: object, **_: object) -> None:
        if isinstance(raw, Mapping) and (faults := self.faults_across(data, raw)):
            raise ValidationError({field: [message] for field, message in faults.items()})

    def faults_across(self, _data: dict[str, Any], _raw: Mapping[str, Any]) -> dict[str, str]:
        """Return a message for each field that contradicts another field.

        `_data` holds the valid fields only, `_raw` every field as the caller sent it.
        """
        return {}


class Text(String):
    """A string that every database can store: without NUL characters and lone surrogates."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - marshmallow's
        text: str = super()._deserialize(value, *args, **kwargs)
        if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
            raise ValidationError("Contains a NUL character or a lone surrogate.")
        return text


class Flag(Boolean):
    """A boolean in the spellings of JSON, HTML forms and common clients, ignoring case."""

    truthy = {"true", "on", "yes", "1", 1}  # noqa: RUF012 - marshmallow's own convention
    falsy = {"false", "off", "no", "0", 0}  # noqa: RUF012
    default_error_messages = {"invalid": _FLAG_EXPECTED}  # noqa: RUF012

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ANN401 - marshmallow's
        folded = value.casefold() if isinstance(value, str) else value
        flag: bool = super()._deserialize(folded, *args, **kwargs)
        return flag


class TaxonomyKey(String):
    """A key of the taxonomy; clients may send key or title in any case."""

    def __init__(self, titles: Mapping[str, str], **kwargs: Any) -> None:  # noqa: ANN401 - marshmallow's
        kwargs.setdefault("metadata", {})
        kwargs["metadata"] = {"enum": [*titles, *titles.values()], **kwargs["metadata"]}
        super().__init__(**kwargs)
        self._titles = titles

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - marshmallow's
        name: str = super()._deserialize(value, *args, **kwargs)
        key = key_named(name, self._titles)
        if key is None:
            raise ValidationError("Not a key or title of GET /api/v1/taxonomy.")
        return key


class CursorQuery(StrictSchema):
    """The query of a list that is paged by cursor."""

    cursor = String(
        validate=Length(1, 200), metadata={"description": "The next_cursor of the previous page."}
    )
    per_page = Integer(load_default=50, validate=Range(1, 200))


def character_offset(description: str) -> Integer:
    """Return a field that counts code points in a document's text."""
    return Integer(required=True, allow_none=True, metadata={"description": description})
