"""Deployments of models, newest last in `n`, and the running totals of shadowing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate
from db.tables import Deployment, DeploymentKind, ShadowTotal

SERVING_KINDS = (DeploymentKind.ACTIVATE, DeploymentKind.ROLLBACK)
SHADOW_KINDS = (DeploymentKind.SHADOW, DeploymentKind.SHADOW_OFF)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The newest deployment of each kind, None if there is none; `n` is the newest number, or 0."""

    n: int
    serving: Deployment | None
    shadow: Deployment | None


@dataclass(frozen=True, slots=True)
class ShadowCounts:
    """What shadowed scans add to the totals of a pair; the difference is a sum over `n_agreeing`."""

    n_scans: int = 0
    n_sentences: int = 0
    n_agreeing: int = 0
    n_only_serving: int = 0
    n_only_shadow: int = 0
    n_dropped: int = 0
    abs_score_difference: float = 0.0


def newest_n(session: Session) -> int:
    """Return the number of the newest deployment, 0 if there is none; reads one index entry."""
    return session.scalar(select(func.max(Deployment.n))) or 0


def wanted(session: Session) -> Wanted:
    """Return the deployments that decide what serves and what shadows now."""
    return Wanted(
        newest_n(session), _newest(session, SERVING_KINDS), _newest(session, SHADOW_KINDS)
    )


def add_deployment(session: Session, values: Mapping[str, Any]) -> Deployment:
    """Insert a deployment, given as values by attribute; `n` must be the next number.

    Raises:
        IntegrityError: another deployment took this number first.
    """
    stored = Deployment(**values)
    session.add(stored)
    session.flush()
    return stored


def list_deployments(
    session: Session, *, limit: int, before_n: int | None = None
) -> Sequence[Deployment]:
    """Return up to `limit` deployments, newest first, those numbered below `before_n`."""
    query = select(Deployment).order_by(Deployment.n.desc()).limit(limit)
    if before_n is not None:
        query = query.where(Deployment.n < before_n)
    return session.scalars(query).all()


def serving_history(session: Session) -> Sequence[Deployment]:
    """Return every activation and rollback, oldest first."""
    query = select(Deployment).where(Deployment.kind.in_(SERVING_KINDS))
    return session.scalars(query.order_by(Deployment.n)).all()


def add_to_shadow_totals(
    session: Session, *, serving: str, shadow: str, counts: ShadowCounts
) -> None:
    """Add counts to the totals of a pair; safe from many processes at once."""
    if _increase(session, serving, shadow, counts):
        return
    try:
        with session.begin_nested():
            session.add(_first(serving, shadow, counts))
    except IntegrityError as error:
        if not is_duplicate(error):
            raise
        # Another process inserted the pair meanwhile.
        _increase(session, serving, shadow, counts)


def shadow_totals(session: Session) -> Sequence[ShadowTotal]:
    """Return the totals of every pair, the most recently shadowed first."""
    query = select(ShadowTotal).order_by(
        ShadowTotal.last_at.desc(), ShadowTotal.serving, ShadowTotal.shadow
    )
    return session.scalars(query).all()


def _newest(session: Session, kinds: tuple[DeploymentKind, ...]) -> Deployment | None:
    query = select(Deployment).where(Deployment.kind.in_(kinds))
    return session.scalar(query.order_by(Deployment.n.desc()).limit(1))


def _first(serving: str, shadow: str, counts: ShadowCounts) -> ShadowTotal:
    now = datetime.now(UTC)
    given = {name: getattr(counts, name) for name in ShadowCounts.__dataclass_fields__}
    return ShadowTotal(serving=serving, shadow=shadow, first_at=now, last_at=now, **given)


def _increase(session: Session, serving: str, shadow: str, counts: ShadowCounts) -> bool:
    added = {
        name: getattr(ShadowTotal, name) + getattr(counts, name)
        for name in ShadowCounts.__dataclass_fields__
    }
    statement = (
        update(ShadowTotal)
        .where(ShadowTotal.serving == serving, ShadowTotal.shadow == shadow)
        .values(**added, last_at=datetime.now(UTC))
    )
    return session.connection().execute(statement).rowcount == 1
