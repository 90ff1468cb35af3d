"""Adjudication: one result from different users' reviews of a finding. Pure functions, no database."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from uuid import UUID


class Status(IntEnum):
    """How firmly a finding or sentence is settled, from the weakest to the strongest."""

    UNVERIFIED = 0
    """A missed risk with an unverified sentence; counted, never written."""
    PARTIAL = 1
    """Nobody has judged it."""
    DISPUTED = 2
    """Plain users differ and no reviewer has decided."""
    SINGLE = 3
    """One plain user has judged it."""
    AGREED = 4
    """Two plain users or more have judged it, all alike."""
    ADJUDICATED = 5
    """A reviewer has decided."""


@dataclass(frozen=True, slots=True)
class Review:
    """One user's current review: the risk types that it leaves, none if the user rejected the finding."""

    user_id: UUID
    is_reviewer: bool
    risk_types: frozenset[str]
    at: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """The risk types after all reviews, in alphabetical order, and how firm the result is."""

    status: Status
    risk_types: tuple[str, ...]


def settle(verdicts: Collection[Review], *, original: Collection[str]) -> Settled:
    """Settle the verdicts, one for each user, on one finding or on one sentence's missed risks.

    `original` has the finding's type, and is empty for missed risks. It applies until the verdicts settle
    the types. The latest reviewer decides, whatever plain users say.
    """
    if not verdicts:
        return Settled(Status.PARTIAL, in_order(original))
    reviewers = [v for v in verdicts if v.is_reviewer]
    if reviewers:
        return Settled(Status.ADJUDICATED, in_order(latest(reviewers).risk_types))
    answers = {v.risk_types for v in verdicts}
    if len(answers) > 1:
        return Settled(Status.DISPUTED, in_order(original))
    status = Status.AGREED if len(verdicts) > 1 else Status.SINGLE
    return Settled(status, in_order(answers.pop()))


def settle_sentence(parts: Collection[Settled]) -> Settled:
    """Join the parts of one sentence, at least one: the types of all, with the weakest status."""
    risk_types = (risk_type for part in parts for risk_type in part.risk_types)
    return Settled(min(part.status for part in parts), in_order(risk_types))


def deciding(verdicts: Iterable[Review]) -> Review:
    """Return the latest verdict of a reviewer, else of anyone; ValueError if there is none."""
    everyone = list(verdicts)
    return latest([v for v in everyone if v.is_reviewer] or everyone)


def latest(verdicts: Iterable[Review]) -> Review:
    """Return the newest of at least one verdict; for equal times the choice is deterministic."""
    return max(verdicts, key=lambda v: (v.at, v.user_id))


def in_order(risk_types: Iterable[str]) -> tuple[str, ...]:
    """Return each risk type once, in alphabetical order, which no change of the taxonomy alters."""
    return tuple(sorted(set(risk_types)))
