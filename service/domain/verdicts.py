"""The verdict on a finding that applies now, from everyone's rows of feedback that a reader may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from db.tables import REVIEWERS, Feedback, Verdict
from service.domain.adjudication import Review, Status, deciding, settle


class Standing(StrEnum):
    """What the verdicts on a finding come to."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    RELABELLED = "relabelled"
    DISPUTED = "disputed"
    """Users differ, and no reviewer has decided."""


@dataclass(frozen=True, slots=True)
class CurrentVerdict:
    """A standing, and the risk types that it leaves: none if the finding is rejected or disputed."""

    standing: Standing
    risk_types: tuple[str, ...]

    @property
    def is_risk(self) -> bool:
        """Whether people agree that the sentence states a risk."""
        return self.standing in {Standing.CONFIRMED, Standing.RELABELLED}


def as_review(row: Feedback) -> Review:
    """Return a current row of feedback as adjudication reads it."""
    is_reviewer = row.role in REVIEWERS
    return Review(row.user_id, is_reviewer, frozenset(row.risk_types), row.created_at)


def current_verdict(rows: Sequence[Feedback]) -> CurrentVerdict | None:
    """Return what the current rows on one finding, one for each user, come to; None without any.

    The latest reviewer decides, else all users together.
    """
    if not rows:
        return None
    reviews = {as_review(row): row for row in rows}
    settled = settle(reviews.keys(), original=())
    # Of another service's risk, which has no type here, only the verdicts tell users apart.
    differ = len({row.verdict for row in rows}) > 1 and settled.status == Status.AGREED
    if settled.status == Status.DISPUTED or differ:
        return CurrentVerdict(Standing.DISPUTED, ())
    verdict = Verdict(reviews[deciding(reviews)].verdict)
    return CurrentVerdict(Standing(verdict.value), settled.risk_types)
