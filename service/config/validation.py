"""Faults from pydantic's validation errors: the field's path and a sentence without the value.

Values may be secrets or document text, so no message quotes one. Imports only errors.
"""

from __future__ import annotations

from pydantic import ValidationError, ValidationInfo
from pydantic_core import ErrorDetails

from service.errors import Fault

_MAX_FAULTS = 5
"""Maximum number of faults in one sentence."""
_PREDICATES = {
    "missing": "is missing",
    "extra_forbidden": "is unknown",
    "json_invalid": "is not valid JSON",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "model_type": "must be an object",
}


def faults(error: ValidationError) -> tuple[Fault, ...]:
    """Return one fault per invalid field; its message starts with the field's path."""
    # A default that depends on an invalid field is no fault of its own.
    return tuple(
        _fault(details)
        for details in error.errors(include_url=False, include_input=False)
        if details["type"] != "default_factory_not_called"
    )


def sentence(error: ValidationError) -> str:
    """Return the messages of the first faults as one sentence without the full stop."""
    messages = [fault.message for fault in faults(error)]
    more = [f"and {len(messages) - _MAX_FAULTS} more"] if len(messages) > _MAX_FAULTS else []
    return "; ".join([*messages[:_MAX_FAULTS], *more])


def _fault(details: ErrorDetails) -> Fault:
    path = ".".join(str(part) for part in details["loc"]) or "the content"
    return Fault(path, f"{path} {_predicate(details)}")


def _predicate(details: ErrorDetails) -> str:
    """Turn "Input should be X" into "must be X", the predicate of a sentence about the field."""
    kind, message = details["type"], details["msg"]
    if kind in _PREDICATES:
        return _PREDICATES[kind]
    if kind == "value_error":
        return str(details["ctx"]["error"])
    if kind.endswith("_parsing"):
        message = message.partition(",")[0]
    return message.replace("Input should", "must", 1)


def required_in_production(value: str, info: ValidationInfo) -> str:
    """Return `value`.

    Raises:
        ValueError: it is empty and RISKSCAN_ENV is production.
    """
    if not value and info.data.get("riskscan_env") == "production":
        raise ValueError("is missing; production has no default for it")
    return value
