"""Recall: how many of the risks in scanned documents the model finds, estimated from a random sample.

A sentence counts as a risk if it states any. The sample is drawn uniformly from the sentences without a
finding, and reviewers judge it in random order, so the share of risks among those judged estimates the share
among all. It covers scans of which every finding is settled, where the risks that were found are counted, not
estimated.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from db import tables
from db.queries import samples as queries
from db.queries.reach import Reach
from db.tables import REVIEWERS, Verdict
from service.domain.adjudication import Review, Status, settle

MAX_SCANS = 500
"""Most scans that an estimate covers, the newest."""
_Z = 1.959964
"""Of a 95 % interval."""
Model = tuple[str, str]
"""Name and version."""


@dataclass(frozen=True, slots=True)
class OpenSample:
    """Sampled sentences that wait for a reviewer, with their scans, and how many there are in all."""

    items: Sequence[Row[tables.SampledSentence, tables.Scan]]
    n_open: int


@dataclass(frozen=True, slots=True)
class Recall:
    """The estimate with its 95 % interval; all three are None until there are risks and answers.

    `n_found` sentences of `n_scans` scans have findings that are risks by their verdicts. Of the
    `n_unflagged` others, reviewers judged a random `n_answered`, and `n_missed` of these are risks.
    `n_unsettled` scans are left out, since a finding has no verdict or a disputed one.
    """

    n_scans: int
    n_unsettled: int
    n_found: int
    n_unflagged: int
    n_answered: int
    n_missed: int
    estimate: float | None
    low: float | None
    high: float | None


def open_sample(
    session: Session, reach: Reach, model: Model, *, n_days: int, limit: int
) -> OpenSample:
    """Return up to `limit` sampled sentences that no reviewer has answered, in random order."""
    since = _since(n_days)
    items = queries.open_samples(session, reach, model, since=since, limit=limit)
    return OpenSample(items, queries.count_open(session, reach, model, since=since))


def estimate_recall(session: Session, reach: Reach, model: Model, *, n_days: int) -> Recall:
    """Estimate the recall of `model` on the scans in reach of the last `n_days` days."""
    scans = queries.sampled_scans(session, reach, model, since=_since(n_days), limit=MAX_SCANS)
    ids = [scan.id for scan in scans]
    verdicts: dict[UUID, list[Row[tables.Feedback, str]]] = defaultdict(list)
    for row in queries.verdicts_of(session, ids):
        verdicts[row[0].scan_id].append(row)
    found = {scan.id: _n_found(verdicts[scan.id], scan.n_findings) for scan in scans}
    settled = {scan_id: n for scan_id, n in found.items() if n is not None}
    answers = [a for scan_id, a in queries.answers_of(session, ids).items() if scan_id in settled]
    return recall(
        n_scans=len(settled),
        n_unsettled=len(scans) - len(settled),
        n_found=sum(settled.values()),
        n_unflagged=sum(scan.n_unflagged or 0 for scan in scans if scan.id in settled),
        n_answered=sum(a.n_answered for a in answers),
        n_missed=sum(a.n_missed for a in answers),
    )


def recall(
    *,
    n_scans: int,
    n_unsettled: int,
    n_found: int,
    n_unflagged: int,
    n_answered: int,
    n_missed: int,
) -> Recall:
    """Return the estimate from the counts of `Recall`.

    The risks found are counted; those missed are `n_unflagged` times the share of risks among the answers.
    The interval follows from Wilson's for that share (Wilson 1927, JASA 22:209).
    """
    counts = (n_scans, n_unsettled, n_found, n_unflagged, n_answered, n_missed)
    if not n_answered or not n_found + n_missed:
        return Recall(*counts, None, None, None)
    low_share, high_share = wilson(n_missed, n_answered)
    most_missed = n_unflagged * high_share
    least_missed = max(n_unflagged * low_share, n_missed)
    missed = n_unflagged * n_missed / n_answered
    low, estimate, high = (n_found / (n_found + m) for m in (most_missed, missed, least_missed))
    return Recall(*counts, estimate, low, high)


def wilson(n_hits: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of which `n_hits` of `n` random trials, at least one, are known."""
    share, z2 = n_hits / n, _Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _n_found(rows: Collection[Row[tables.Feedback, str]], n_findings: int) -> int | None:
    """Return how many sentences of a scan the verdicts leave with a risk; None unless all are settled."""
    reviews: dict[int, list[Review]] = defaultdict(list)
    contexts: dict[int, str] = {}
    for row, context in rows:
        is_reviewer = row.role in REVIEWERS
        contexts[row.n] = context
        reviews[row.n].append(Review(row.user_id, is_reviewer, _types(row), row.created_at))
    settled = {n: settle(given, original=()) for n, given in reviews.items()}
    n_settled = sum(result.status > Status.DISPUTED for result in settled.values())
    if n_settled < n_findings:
        return None
    return len({contexts[n] for n, result in settled.items() if result.risk_types})


def _types(row: tables.Feedback) -> frozenset[str]:
    """Return the types of a verdict; a confirmed title of another service counts as one."""
    is_foreign = row.verdict == Verdict.CONFIRMED and not row.risk_types
    return frozenset({"foreign"} if is_foreign else row.risk_types)


def _since(n_days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=n_days)
