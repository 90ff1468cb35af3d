"""Deployments of models, newest last in `n`, and the running totals of shadowing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
class DesiredState:
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


def desired_state(session: Session) -> DesiredState:
    """Return the newest deployments: they decide which model serves and which one shadows."""
    return DesiredState(
        newest_n(session), _newest(session, SERVING_KINDS), _newest(session, SHADOW_KINDS)
    )


def add_deployment(session: Session, values: Mapping[str, Any]) -> Deployment:
    """Insert a deployment from its `values` by attribute; `n` must be the next number.

    Raises:
        IntegrityError: another deployment took this number first.
    """
    deployment = Deployment(**values)
    session.add(deployment)
    session.flush()
    return deployment


def list_deployments(
    session: Session, *, limit: int, before_n: int | None = None
) -> Sequence[Deployment]:
    """Return up to `limit` deployments, newest first, only those below number `before_n` if given."""
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
            session.add(_new_total(serving, shadow, counts))
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


def _new_total(serving: str, shadow: str, counts: ShadowCounts) -> ShadowTotal:
    now = datetime.now(UTC)
    return ShadowTotal(serving=serving, shadow=shadow, first_at=now, last_at=now, **asdict(counts))


def _increase(session: Session, serving: str, shadow: str, counts: ShadowCounts) -> bool:
    sums = {name: getattr(ShadowTotal, name) + count for name, count in asdict(counts).items()}
    statement = (
        update(ShadowTotal)
        .where(ShadowTotal.serving == serving, ShadowTotal.shadow == shadow)
        .values(**sums, last_at=datetime.now(UTC))
    )
    return session.connection().execute(statement).rowcount == 1
