"""The fields by which a request says how to scan, and their check."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiflask.fields import String
from apiflask.validators import OneOf

from service.api.schemas.fields import Flag
from service.nlp.artifacts.operating_points import SENSITIVITIES

FLAG_VALUES = {
    "type": ["boolean", "integer", "string"],
    "enum": [True, False, 1, 0, "true", "false", "on", "off", "yes", "no", "1", "0"],
}
"""What a Flag accepts, for the OpenAPI document."""


def force_llm_field() -> Flag:
    """Return the field `force_llm`."""
    return Flag(
        metadata={
            "description": "Use the LLM instead of the model. Default: your settings, else false.",
            **FLAG_VALUES,
        },
    )


def sensitivity_field() -> String:
    """Return the field `sensitivity`."""
    return String(
        validate=OneOf(SENSITIVITIES),
        metadata={
            "description": "balanced makes the fewest mistakes, recall misses fewer risks, precision "
            "raises fewer false alarms. Only for the model: an LLM gives no scores. Default: your settings, "
            "else balanced."
        },
    )


def option_faults(data: Mapping[str, Any], raw: Mapping[str, Any]) -> dict[str, str]:
    """Reject a sensitivity for the LLM; the arguments are those of StrictSchema.faults_across."""
    if data.get("force_llm") and "sensitivity" in raw:
        message = "An LLM gives no scores to select by; send either force_llm or sensitivity."
        return dict.fromkeys(("force_llm", "sensitivity"), message)
    return {}
