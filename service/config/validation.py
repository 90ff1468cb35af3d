"""Faults from pydantic's validation errors: the field's path and a sentence without the value.

Values may be secrets or document text, so no message quotes one. Imports only errors.
"""

from __future__ import annotations

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.errors import Fault


def faults(error: ValidationError) -> tuple[Fault, ...]:
    """Return one fault per invalid field; its message starts with the field's path."""
    # A default that depends on an invalid field is no fault of its own.
    return tuple(
        _fault(details)
        for details in error.errors(include_url=False, include_input=False)
        if details["type"] != "default_factory_not_called"
    )


def sentence(error: ValidationError) -> str:
    """Return the messages of all faults as one sentence without the full stop."""
    return "; ".join(fault.message for fault in faults(error))


def _fault(details: ErrorDetails) -> Fault:
    path = ".".join(str(part) for part in details["loc"]) or "the document"
    return Fault(path, f"{path} {_predicate(details)}")


def _predicate(details: ErrorDetails) -> str:
    """Turn "Input should be X" into "must be X", the predicate of a sentence about the field."""
    match details["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is unknown"
        case "value_error":
            return str(details["ctx"]["error"])
        case kind if kind.endswith("_parsing"):
            return details["msg"].partition(",")[0].replace("Input should", "must", 1)
        case _:
            return details["msg"].replace("Input should", "must", 1)
