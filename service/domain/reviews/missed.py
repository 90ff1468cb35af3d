"""Reports of missed risks: what they have, and what none can have, whatever the document says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from db import tables
from service.errors import Fault, InvalidRequest


@dataclass(frozen=True, slots=True)
class Missed:
    """A risk that the analyzer missed: the sentence verbatim, its span, and its types."""

    start: int
    end: int
    context: str
    risk_types: tuple[str, ...]
    comment: str | None = None


def check_span(missed: Missed, *, n_characters: int | None) -> None:
    """Raise InvalidRequest if the span and the sentence do not fit a document of this length."""
    if n_characters is None:
        raise refusal("start", "Only the AI service read this file, so spans cannot be checked.")
    if missed.end > n_characters:
        raise refusal("end", f"The document has {n_characters} characters; end lies beyond them.")
    if len(missed.context) != missed.end - missed.start:
        raise refusal(
            "context",
            f"The sentence has {len(missed.context)} characters (code points) and the span "
            f"{missed.end - missed.start}; send the sentence verbatim.",
        )


def check_against(findings: Sequence[tables.Finding], missed: Missed) -> None:
    """Raise InvalidRequest if the findings of the same span contradict the report."""
    if findings and findings[0].context != missed.context:
        raise refusal("context", "Another sentence was found at this span; send it verbatim.")
    for finding in findings:
        if finding.risk_type in missed.risk_types:
            raise refusal(
                "risk_types",
                f"Finding {finding.n} names {finding.risk_type} here; confirm that one instead.",
            )


def refusal(field: str, message: str) -> InvalidRequest:
    """Return the error for a field that is not valid."""
    return InvalidRequest(message, faults=(Fault(field, message),))
