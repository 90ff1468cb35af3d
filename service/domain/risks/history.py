"""The history of a risk, with what was in the findings that were added to it or removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import risks as queries
from db.queries.pages import Position
from db.tables import RiskChange
from service.domain.risks.findings import FINDINGS, parse_source
from service.domain.risks.views import Signed, list_signed

_Source = tuple[UUID, int]


@dataclass(frozen=True, slots=True)
class ChangedFinding:
    """A finding that was added to a risk or removed; document and sentence are None if they are unknown.

    They are known while the finding supports the risk, and to the owner of its scan while this is stored.
    """

    scan_id: UUID
    n: int
    document: str | None
    context: str | None


@dataclass(frozen=True, slots=True)
class SignedChange(Signed):
    """A signed change with the finding that it is about."""

    finding: ChangedFinding | None


def list_changes(
    session: Session, user_id: UUID, risk_id: UUID, *, limit: int, after: Position | None = None
) -> list[SignedChange]:
    """Return up to `limit` changes of a risk that a user sees, newest first; NotFound without one."""
    signed = list_signed(session, user_id, risk_id, RiskChange, limit=limit, after=after)
    changes = [(one.row, one.author) for one in signed if isinstance(one.row, RiskChange)]
    sources = {row.id: source for row, _ in changes if (source := _source(row)) is not None}
    texts = _texts(session, user_id, risk_id, [*sources.values()])
    return [
        SignedChange(row, author, _finding(sources.get(row.id), texts)) for row, author in changes
    ]


def _source(row: RiskChange) -> _Source | None:
    value = row.after or row.before
    return parse_source(value) if row.field == FINDINGS and value else None


def _texts(
    session: Session, user_id: UUID, risk_id: UUID, sources: Sequence[_Source]
) -> Mapping[_Source, tuple[str | None, str]]:
    """Return document and sentence by source: from the risk's copies, else from the user's own scans."""
    if not sources:
        return {}
    copies = queries.findings_of(session, [risk_id])
    known = {(copy.scan_id, copy.n): (copy.filename, copy.context) for copy in copies}
    missing = [source for source in sources if source not in known]
    return {**queries.own_sentences(session, user_id, missing), **known}


def _finding(
    source: _Source | None, texts: Mapping[_Source, tuple[str | None, str]]
) -> ChangedFinding | None:
    return None if source is None else ChangedFinding(*source, *texts.get(source, (None, None)))
