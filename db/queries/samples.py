"""Sampled sentences without a finding: what reviewers are asked, and what recall is estimated from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, exists, func, insert, select, update
from sqlalchemy.orm import Session, aliased

from db.queries.feedback import Target, is_current
from db.queries.reach import Reach, scans_of
from db.tables import REVIEWERS, Base, Feedback, Finding, SampledSentence, Scan, Verdict

_INSERT = insert(Base.metadata.tables[SampledSentence.__tablename__])
_INSERTED_AT_ONCE = 10_000
_other = aliased(Scan)


class Answers(NamedTuple):
    """How many sampled sentences of a scan reviewers have answered, and how many of them state a risk."""

    n_answered: int
    n_missed: int


def add_sample(
    session: Session,
    scan: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    *,
    has_earlier: bool,
) -> None:
    """Insert the sampled sentences of a new scan; rows need no scan_id.

    Of a document that has earlier scans, those are answered that reviewers answered in one by the same
    model. Answers by another model's sample would be a biased choice: they are on what both did not find.
    """
    answered = _answered_spans(session, scan) if rows and has_earlier else set()
    left = (
        {**row, "scan_id": scan["id"], "answered": (row["start"], row["end"]) in answered}
        for row in rows
    )
    while batch := list(islice(left, _INSERTED_AT_ONCE)):
        session.execute(_INSERT, batch)


def get_sampled(session: Session, scan_id: UUID, n: int) -> SampledSentence | None:
    """Return sampled sentence `n` of a scan."""
    return session.get(SampledSentence, (scan_id, n))


def reopen(session: Session, target: Target) -> None:
    """Let the sampled sentence at the target's span wait again unless an answer of any reviewer is left."""
    left = (
        Feedback.scan_id == target.scan_id,
        Feedback.n == 0,
        Feedback.start == target.start,
        Feedback.end == target.end,
        Feedback.role.in_(REVIEWERS),
        *is_current(),
    )
    if session.scalar(select(Feedback.id).where(*left).limit(1)) is None:
        sampled = (
            SampledSentence.scan_id == target.scan_id,
            SampledSentence.start == target.start,
            SampledSentence.end == target.end,
        )
        session.execute(update(SampledSentence).where(*sampled).values(answered=False))


def open_samples(
    session: Session, reach: Reach, model: tuple[str, str], *, since: datetime, limit: int
) -> Sequence[Row[SampledSentence, Scan]]:
    """Return up to `limit` unanswered sentences of scans in reach by a model, lowest draw first."""
    query = select(SampledSentence, Scan).join(Scan, Scan.id == SampledSentence.scan_id)
    query = query.where(~SampledSentence.answered, *_is_sampled(reach, model, since))
    query = query.order_by(SampledSentence.draw, SampledSentence.scan_id, SampledSentence.n)
    return session.execute(query.limit(limit)).all()


def count_open(session: Session, reach: Reach, model: tuple[str, str], *, since: datetime) -> int:
    """Count the unanswered sentences that `open_samples` lists."""
    query = select(func.count()).select_from(SampledSentence).join(Scan)
    query = query.where(~SampledSentence.answered, *_is_sampled(reach, model, since))
    return session.scalar(query) or 0


def sampled_scans(
    session: Session, reach: Reach, model: tuple[str, str], *, since: datetime, limit: int
) -> Sequence[Scan]:
    """Return up to `limit` scans in reach by a model that have a sample, newest first."""
    query = select(Scan).where(*_is_sampled(reach, model, since))
    return session.scalars(
        query.order_by(Scan.created_at.desc(), Scan.id.desc()).limit(limit)
    ).all()


def verdicts_of(session: Session, scan_ids: Sequence[UUID]) -> Sequence[Row[Feedback, str]]:
    """Return the current verdicts on findings of scans, each with the finding's sentence."""
    query = (
        select(Feedback, Finding.context)
        .join(Finding, (Finding.scan_id == Feedback.scan_id) & (Finding.n == Feedback.n))
        .where(Feedback.scan_id.in_(scan_ids), *is_current())
    )
    return session.execute(query).all()


def answers_of(session: Session, scan_ids: Sequence[UUID]) -> dict[UUID, Answers]:
    """Return the answers to the samples of scans, by scan; the latest reviewer's counts."""
    query = (
        select(Feedback.scan_id, Feedback.start, Feedback.end, Feedback.verdict)
        .join(
            SampledSentence,
            (SampledSentence.scan_id == Feedback.scan_id)
            & (SampledSentence.start == Feedback.start)
            & (SampledSentence.end == Feedback.end),
        )
        .where(Feedback.scan_id.in_(scan_ids), Feedback.n == 0, SampledSentence.answered)
        .where(Feedback.role.in_(REVIEWERS), *is_current())
        .order_by(Feedback.created_at, Feedback.id)
    )
    latest = {(row[0], row[1], row[2]): row[3] for row in session.execute(query)}
    answers: dict[UUID, Answers] = {}
    for (scan_id, _, _), verdict in latest.items():
        n_answered, n_missed = answers.get(scan_id, Answers(0, 0))
        answers[scan_id] = Answers(n_answered + 1, n_missed + (verdict == Verdict.MISSED))
    return answers


def _answered_spans(session: Session, scan: Mapping[str, Any]) -> set[tuple[int, int]]:
    query = (
        select(SampledSentence.start, SampledSentence.end)
        .join(Scan, Scan.id == SampledSentence.scan_id)
        .where(SampledSentence.answered, Scan.document_id == scan["document_id"])
        .where(Scan.model_name == scan["model_name"], Scan.model_version == scan["model_version"])
    )
    return {(start, end) for start, end in session.execute(query)}


def _is_sampled(reach: Reach, model: tuple[str, str], since: datetime) -> list[ColumnElement[bool]]:
    """Conditions on scans: in reach, by this model, with a sample, the last such of their document."""
    name, version = model
    is_later = (
        _other.document_id == Scan.document_id,
        _other.n_unflagged.is_not(None),
        _other.model_name == name,
        _other.model_version == version,
        (_other.created_at > Scan.created_at)
        | ((_other.created_at == Scan.created_at) & (_other.id > Scan.id)),
    )
    return [
        *scans_of(reach),
        Scan.n_unflagged.is_not(None),
        Scan.created_at >= since,
        Scan.model_name == name,
        Scan.model_version == version,
        ~exists().where(*is_later),
    ]
