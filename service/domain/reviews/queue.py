"""The reviewers' queue, how far reviewers agree, and counts of findings over time."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import combinations

from sqlalchemy.orm import Session

from db import tables
from db.queries import review_queue as queries
from db.queries.places import Place
from db.queries.reach import Reach
from db.queries.review_queue import Window
from service.domain.access import judgeable

_N_SCANS, _N_ROWS = 500, 20_000
_UNKNOWN_THRESHOLD = 0.5
"""For a risk type that the serving model no longer has."""


class QueueKind(StrEnum):
    """What a reviewer is asked."""

    UNSURE = "unsure"
    """Findings that no reviewer has judged, those nearest their threshold first."""
    DISPUTED = "disputed"
    """Findings on which users differ and the caller has no verdict."""


@dataclass(frozen=True, slots=True)
class QueueItem:
    """A finding that waits for a reviewer; `answers` are the different types that users gave it.

    A confirmed risk of another service has no type: its title is the answer.
    """

    finding: tables.Finding
    scan: tables.Scan
    threshold: float | None
    answers: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Agreement:
    """Verdicts on the findings of a category.

    `n_pairs` counts pairs of users who judged the same finding, `n_agreeing` those with equal risk types.
    """

    category: str | None
    n_judged: int
    n_confirmed: int
    n_pairs: int
    n_agreeing: int


@dataclass(frozen=True, slots=True)
class DayCount:
    """Findings of one category in the scans of one day (UTC), which is YYYY-MM-DD."""

    day: str
    category: str | None
    n: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Findings since a time: by day and category, and how many have a verdict."""

    days: list[DayCount]
    n_open: int
    n_judged: int


def unsure(
    session: Session,
    user: tables.User,
    thresholds: Mapping[str, float],
    *,
    limit: int,
    category: str | None = None,
) -> list[QueueItem]:
    """Return up to `limit` findings whose score is nearest the threshold of their risk type."""

    def threshold(risk_type: str | None) -> float:
        return thresholds.get(risk_type or "", _UNKNOWN_THRESHOLD)

    rows = queries.open_findings(session, user.id, _window(judgeable(user)), category=category)
    nearest = heapq.nsmallest(limit, rows, key=lambda row: abs(row[3] - threshold(row[2])))
    found = queries.findings_with_scans(session, [(row[0], row[1]) for row in nearest])
    return [
        QueueItem(finding, scan, thresholds.get(finding.risk_type or "")) for finding, scan in found
    ]


def disputed(
    session: Session,
    user: tables.User,
    thresholds: Mapping[str, float],
    *,
    limit: int,
    category: str | None = None,
) -> list[QueueItem]:
    """Return up to `limit` findings on which others differ and the user has no verdict, newest first."""
    answers = {}
    for place, rows in _by_finding(session, judgeable(user), category).items():
        given = {_answer(row, finding) for row, finding in rows}
        if len(given) > 1 and all(row.user_id != user.id for row, _ in rows):
            answers[place] = tuple(sorted(given))
    found = queries.findings_with_scans(session, [*answers][:limit])
    return [
        QueueItem(f, scan, thresholds.get(f.risk_type or ""), answers[f.scan_id, f.n])
        for f, scan in found
    ]


def agreement(session: Session, reach: Reach) -> list[Agreement]:
    """Return the agreement on the scans in reach, by category, most judged first."""
    judged: dict[str | None, list[Sequence[tuple[tables.Feedback, tables.Finding]]]]
    judged = defaultdict(list)
    for rows in _by_finding(session, reach, None).values():
        judged[rows[0][1].category].append(rows)
    by_category = [_agreement(category, findings) for category, findings in judged.items()]
    return sorted(by_category, key=lambda row: (-row.n_judged, row.category or ""))


def summary(session: Session, reach: Reach, *, n_days: int) -> Summary:
    """Return counts of the last `n_days` days for the scans in reach."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    since = today - timedelta(days=n_days - 1)
    rows = queries.counts_by_day(session, reach, since=since)
    days = [DayCount(str(day), category, n) for day, category, n in rows]
    n_open, n_judged = (
        queries.count_findings(session, reach, since=since, is_judged=is_judged)
        for is_judged in (False, True)
    )
    return Summary(days, n_open, n_judged)


def _window(reach: Reach) -> Window:
    return Window(reach, _N_SCANS, _N_ROWS)


def _by_finding(
    session: Session, reach: Reach, category: str | None
) -> dict[Place, list[tuple[tables.Feedback, tables.Finding]]]:
    rows: dict[Place, list[tuple[tables.Feedback, tables.Finding]]] = defaultdict(list)
    for feedback, finding in queries.verdicts(session, _window(reach), category=category):
        rows[finding.scan_id, finding.n].append((feedback, finding))
    return rows


def _answer(verdict: tables.Feedback, finding: tables.Finding) -> tuple[str, ...]:
    """Return the risk types of a verdict, or the title of a confirmed risk of another service."""
    if verdict.verdict == tables.Verdict.CONFIRMED and not verdict.risk_types:
        return (finding.foreign_risk or "",)
    return tuple(sorted(verdict.risk_types))


def _agreement(
    category: str | None, findings: Sequence[Sequence[tuple[tables.Feedback, tables.Finding]]]
) -> Agreement:
    pairs = [
        one == other
        for rows in findings
        for one, other in combinations([_answer(*row) for row in rows], 2)
    ]
    n_confirmed = sum(any(row.verdict == "confirmed" for row, _ in rows[:1]) for rows in findings)
    return Agreement(category, len(findings), n_confirmed, len(pairs), sum(pairs))
