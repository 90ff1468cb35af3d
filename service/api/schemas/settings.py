"""Settings that users choose for themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiflask import Schema
from apiflask.fields import Boolean, Dict, Float, Integer, String
from apiflask.validators import OneOf, Range
from marshmallow import ValidationError, missing

from db.tables import StoredText
from service.api.current import services
from service.api.http.authentication import current_preferences
from service.api.schemas.fields import Flag, StrictSchema, WholeNumber
from service.api.schemas.scan_options import FLAG_VALUES
from service.nlp.artifacts.operating_points import SENSITIVITIES
from service.nlp.taxonomy import key_named, unknown_name

MAX_RETENTION_DAYS = 36_500
STORE_TEXT = [*map(str, StoredText)]
_THRESHOLDS = (
    "Least score by category key: findings of the category with a lower score are not reported. Keys of an "
    "earlier model's categories stay as long as they are sent."
)
_RETENTION = (
    "Days after which the service deletes your scans, documents and files; null: never, unless the operator "
    "sets RETENTION_DAYS."
)
_STORE_TEXT = (
    "What a stored scan keeps of its document: full, its text; hash, its SHA-256; none, neither. The "
    "operator's STORE_TEXT may allow less."
)
_STORE_ORIGINAL = (
    "Whether a stored scan of an uploaded file keeps the file's bytes too; only where the text is stored in "
    "full. They count towards USER_QUOTA_BYTES."
)


class Thresholds(Dict):
    """Scores in [0, 1] by category; clients may send key or title of a category in any case.

    Keys that the user's settings have already are accepted too: an earlier model had the category.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - marshmallow's
        score = Float(validate=Range(0, 1), allow_nan=False)
        super().__init__(keys=String(), values=score, **options)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> dict[str, float]:  # noqa: ANN401 - marshmallow's
        scores: dict[str, float] = super()._deserialize(value, *args, **kwargs)  # type: ignore[no-untyped-call]
        titles, by_key, faults = services().taxonomy.category_titles, {}, {}
        stored = current_preferences().defaults.thresholds
        for name, score in scores.items():
            key = key_named(name, titles) or (name if name in stored else None)
            if key is None or key in by_key:
                faults[name] = [unknown_name(titles) if key is None else "Send the category once."]
            else:
                by_key[key] = score
        if faults:
            raise ValidationError(faults)
        return by_key


class SettingsIn(StrictSchema):
    """All settings; one that is left out gets its default."""

    sensitivity = String(load_default="balanced", validate=OneOf(SENSITIVITIES))
    force_llm = Flag(load_default=False, metadata=dict(FLAG_VALUES))
    thresholds = Thresholds(
        load_default=dict, metadata={"description": _THRESHOLDS, "example": {"budget": 0.6}}
    )
    retention_days = WholeNumber(
        load_default=None,
        allow_none=True,
        validate=Range(1, MAX_RETENTION_DAYS),
        metadata={"description": _RETENTION},
    )
    store_text = String(
        load_default="full", validate=OneOf(STORE_TEXT), metadata={"description": _STORE_TEXT}
    )
    store_original = Flag(
        load_default=False, metadata={"description": _STORE_ORIGINAL, **FLAG_VALUES}
    )

    def faults_across(self, data: dict[str, Any], _raw: Mapping[str, Any]) -> dict[str, str]:
        """Refuse the LLM where there is none."""
        config = services().config
        if data.get("force_llm") and config.llm == "off":
            return {"force_llm": "The operator switched LLMs off (LLM=off)."}
        if data.get("force_llm") and not (config.llm_base_url or config.ai_service_url):
            return {"force_llm": "No LLM is configured; the operator sets LLM_BASE_URL."}
        return {}


class SettingsChangeIn(SettingsIn):
    """Some settings; those that are left out stay as they are."""

    def __init__(self) -> None:
        super().__init__()
        for field in self.fields.values():  # copies of this schema object's own
            field.load_default = missing


class SettingsOut(Schema):
    sensitivity = String(
        required=True, validate=OneOf(SENSITIVITIES), attribute="defaults.sensitivity"
    )
    force_llm = Boolean(required=True, attribute="defaults.force_llm")
    thresholds = Dict(
        keys=String(),
        values=Float(),
        required=True,
        attribute="defaults.thresholds",
        metadata={"description": _THRESHOLDS},
    )
    retention_days = Integer(required=True, allow_none=True, metadata={"description": _RETENTION})
    store_text = String(
        required=True, validate=OneOf(STORE_TEXT), metadata={"description": _STORE_TEXT}
    )
    store_original = Boolean(required=True, metadata={"description": _STORE_ORIGINAL})
