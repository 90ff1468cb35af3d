"""Checks the category and the risk type by which a list of stored findings is filtered."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from db.queries.scans import Label, is_label_stored
from service.errors import Fault, InvalidRequest
from service.nlp.taxonomy import Taxonomy, unknown_name


def check_labels(
    session: Session, taxonomy: Taxonomy, *, category: str | None, risk_type: str | None
) -> None:
    """Refuse a key that is neither in `taxonomy` nor in a finding of an earlier model; None passes.

    Raises:
        InvalidRequest: names each refused field.
    """
    named: tuple[tuple[Label, str | None, Mapping[str, str]], ...] = (
        ("category", category, taxonomy.category_titles),
        ("risk_type", risk_type, taxonomy.risk_titles),
    )
    faults = [
        Fault(name, unknown_name(titles))
        for name, key, titles in named
        if key is not None and key not in titles and not is_label_stored(session, name, key)
    ]
    if faults:
        message = "; ".join(f"{fault.field}: {fault.message}" for fault in faults)
        raise InvalidRequest(message, faults=tuple(faults))
