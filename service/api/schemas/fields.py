"""Fields and the base schema that several nouns share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from apiflask import Schema
from apiflask.fields import Boolean, Integer, String
from apiflask.validators import Length, OneOf, Range
from marshmallow import RAISE, ValidationError, validates_schema

from service.api.current import services
from service.api.http.taxonomy_names import MARK, Mark
from service.nlp.taxonomy import MAX_TITLE_CHARS, key_named, unknown_name

MAX_INT = 2**31 - 1
"""The largest value of an INTEGER column."""
_FLAG_EXPECTED = "Send true or false; on, off, yes, no, 1 and 0 are accepted too."


class StrictSchema(Schema):
    """Rejects unknown fields, and reports faults of single fields and of field combinations together."""

    class Meta:
        unknown = RAISE

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - marshmallow's
        super().__init__(**options)
        known = sorted(field.data_key or name for name, field in self.load_fields.items())
        self.error_messages["unknown"] = f"Unknown field. Known fields: {', '.join(known)}."

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


class EmptyAsNull(String):
    """A string of a response whose column has an empty string for null."""

    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:  # noqa: ANN401 - marshmallow's
        text: str | None = super()._serialize(value, *args, **kwargs)
        return text or None


class JsonBoolean(Boolean):
    """true or false of JSON, and nothing else: 0 equals False in Python."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ANN401 - marshmallow's
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        flag: bool = super()._deserialize(value, *args, **kwargs)
        return flag


class Flag(Boolean):
    """A boolean in the spellings of JSON, HTML forms and common clients, ignoring case."""

    truthy = {"true", "on", "yes", "1", 1}  # noqa: RUF012 - marshmallow's own convention
    falsy = {"false", "off", "no", "0", 0}  # noqa: RUF012
    default_error_messages = {"invalid": _FLAG_EXPECTED}  # noqa: RUF012

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> bool:  # noqa: ANN401 - marshmallow's
        folded = value.casefold() if isinstance(value, str) else value
        flag: bool = super()._deserialize(folded, *args, **kwargs)
        return flag


class WholeNumber(Integer):
    """An integer, which forms send as its digits; a number with a fraction is a fault."""

    def _validated(self, value: Any) -> int:  # noqa: ANN401 - marshmallow's
        if isinstance(value, float) and not value.is_integer():
            raise self.make_error("invalid", input=value)
        number: int = super()._validated(value)
        return number


class _ServedName(String):
    """A name that the serving model's taxonomy has; clients may send key or title in any case."""

    mark: ClassVar[Mark]

    def __init__(self, *, required: bool = False, allow_none: bool = False) -> None:
        super().__init__(required=required, allow_none=allow_none, metadata={MARK: self.mark})

    def titles(self) -> Mapping[str, str]:
        """Return the titles by key."""
        raise NotImplementedError

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - marshmallow's
        name: str = super()._deserialize(value, *args, **kwargs)
        titles = self.titles()
        key = key_named(name, titles)
        if key is None:
            raise ValidationError(unknown_name(titles))
        return key


class RiskTypeName(_ServedName):
    """A risk type."""

    mark: ClassVar[Mark] = "risk type only"

    def titles(self) -> Mapping[str, str]:
        """Return those of the risk types."""
        return services().taxonomy.risk_titles


class CategoryName(_ServedName):
    """A category."""

    mark: ClassVar[Mark] = "category only"

    def titles(self) -> Mapping[str, str]:
        """Return those of the categories."""
        return services().taxonomy.category_titles


class StoredName(Text):
    """A category or risk type of stored findings: key or title of the serving model in any case.

    Any other text passes unchanged: it may be a key that an earlier model found.
    """

    def __init__(self, kind: Literal["category", "risk type"]) -> None:
        super().__init__(
            validate=Length(1, MAX_TITLE_CHARS),
            metadata={
                MARK: kind,
                "description": "Key or title; of an earlier model's findings the key alone.",
            },
        )
        self._kind = kind

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - marshmallow's
        name: str = super()._deserialize(value, *args, **kwargs)
        taxonomy = services().taxonomy
        is_category = self._kind == "category"
        titles = taxonomy.category_titles if is_category else taxonomy.risk_titles
        return key_named(name, titles) or name


class CursorQuery(StrictSchema):
    """The query of a list that is paged by cursor."""

    cursor = String(
        validate=Length(1, 200), metadata={"description": "The next_cursor of the previous page."}
    )
    per_page = Integer(load_default=50, validate=Range(1, 200))


def character_offset(description: str) -> Integer:
    """Return a field that counts code points in a document's text."""
    return Integer(required=True, allow_none=True, metadata={"description": description})


def scope_field(noun: str) -> String:
    """Return the parameter for whose rows a list shows; `in_scope` gives its meaning."""
    return String(
        load_default="own",
        validate=OneOf(["own", "team", "reviewable"]),
        metadata={
            "description": f"own: the caller's {noun}. team: the {noun} that are shared with a team of the "
            f"caller. reviewable: the {noun} that the caller may review, which are everyone's for reviewers "
            "and administrators, and those of both other kinds for team reviewers."
        },
    )
