"""Use cases of reviewing: verdicts on findings, reports of missed risks, who may give and see them.

Owners review their own scans, team reviewers those shared with their teams too, reviewers everyone's. Each
function raises NotFound for a scan that the user may not review or read, as for a missing one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.orm import Session

from db import tables
from db.queries import feedback as queries
from db.queries import samples, scans
from db.queries.feedback import Target
from db.queries.reach import Reach
from db.tables import Verdict
from service.domain.access import judgeable, only_author, readable
from service.domain.adjudication import in_order
from service.domain.audit import Action, Actor, event, record
from service.domain.reviews.copies import update_copies
from service.domain.reviews.missed import Missed, check_against, check_span, refusal
from service.domain.stored_text import read_characters
from service.domain.transactions import Transactions
from service.domain.versions import Expected, check_version, state_version
from service.errors import NotFound
from service.nlp.pipeline import Submission

_MAX_N = 2**31 - 1
_MAX_SHOWN = 100
_NO_SCAN = "There is no scan with this id that you may review."
_NO_HASH = (
    "The service stored no hash of the scanned document (STORE_TEXT, or store_text in the owner's settings, "
    "was none), so it cannot compare this one. Send the report without the document; it stays unverified."
)
_OTHER_DOCUMENT = (
    "This is not the scanned document: its sha256 differs. Send the scanned file or text unchanged."
)
_NO_FEEDBACK = "You have no feedback here to withdraw."


@dataclass(frozen=True, slots=True)
class Judgement:
    """A user's verdict on a finding, where only `relabelled` has `risk_types`, or answer on a sentence."""

    verdict: Verdict
    risk_types: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class FindingReview:
    """A finding as a user sees it; only reviewers get `others`. Lists are newest first."""

    finding: tables.Finding
    own: tables.Feedback | None
    others: Sequence[tables.Feedback]
    history: Sequence[tables.Feedback]


class Reviews:
    """Reports of missed risks. If a report comes with the document, it is verified against it.

    The document is read before the transaction that stores the report.
    """

    def __init__(
        self, transactions: Transactions, extract_text: Callable[[Submission], str]
    ) -> None:
        """`extract_text` returns the extracted text of a document; spans refer to it."""
        self._transactions = transactions
        self._extract_text = extract_text

    def report_missed(
        self,
        user: tables.User,
        scan_id: UUID,
        missed: Missed,
        *,
        document: Submission | None = None,
    ) -> tuple[tables.Feedback, bool]:
        """Store a missed risk, replacing the user's report of this span; return whether it is the first.

        The report is verified if `document`, the stored text, a finding or an earlier verified report has
        the sentence at the span.

        Raises:
            NotFound: no scan that the user may review has this id.
            InvalidRequest: the span or the sentence cannot be in this document, the risk is already a
                finding, or `document` is not the scanned one.
        """
        if document is not None:
            scan = self._transactions.read(_scan, judgeable(user), scan_id)
            self._check_document(scan, missed, document)
        is_verified = document is not None
        return self._transactions.run(
            _report_missed, user, scan_id, missed, is_verified=is_verified
        )

    def _check_document(self, scan: tables.Scan, missed: Missed, document: Submission) -> None:
        """Raise InvalidRequest if the document is not the scanned one, or has another text at the span."""
        check_span(missed, n_characters=scan.coverage["characters"])
        field = "text" if document.data is None else "file"
        if not scan.document_sha256:
            raise refusal(field, _NO_HASH)
        if document.sha256() != scan.document_sha256:
            raise refusal(field, _OTHER_DOCUMENT)
        if self._extract_text(document)[missed.start : missed.end] != missed.context:
            message = "The document has another text at this span; send the sentence verbatim."
            raise refusal("context", message)


def judge(
    session: Session,
    user: tables.User,
    scan_id: UUID,
    n: int,
    judgement: Judgement,
    *,
    expected: Expected = None,
) -> tuple[tables.Feedback, bool]:
    """Store the user's verdict on a finding in place of an earlier one; return whether it is the first.

    Raises:
        NotFound: no such finding.
        InvalidRequest: the verdict relabels the finding with the type that it has.
        PreconditionFailed: the user's earlier verdict, or its lack, has none of the versions expected.
    """
    finding = _finding(session, judgeable(user), scan_id, n, lock=True)
    risk_types = _risk_types(judgement, finding.risk_type)
    entry = _Entry(judgement.verdict, risk_types, judgement.comment)
    return _append(session, user, _target(user, finding), entry, expected=expected)


def version(verdict: tables.Feedback | None) -> int:
    """Return a number that differs for another verdict of the same user; none is like a withdrawn one."""
    if verdict is None or verdict.verdict == Verdict.WITHDRAWN:
        return state_version(None)
    return state_version(verdict.id)


def withdraw_verdict(session: Session, user: tables.User, scan_id: UUID, n: int) -> None:
    """Withdraw the user's verdict on a finding; NotFound if there is none."""
    finding = _finding(session, judgeable(user), scan_id, n, lock=True)
    _withdraw(session, user, _target(user, finding))


def withdraw(session: Session, user: tables.User, scan_id: UUID, feedback_id: UUID) -> None:
    """Withdraw the user's current feedback with this id, of either kind; NotFound if it is not theirs."""
    _scan(session, judgeable(user), scan_id, lock=True)
    row = queries.feedback_by_id(session, feedback_id)
    if row is None or (row.scan_id, row.user_id) != (scan_id, user.id):
        raise NotFound(_NO_FEEDBACK)
    _withdraw(session, user, _target(user, row), feedback_id=feedback_id)


def answer_sample(
    session: Session, user: tables.User, scan_id: UUID, n: int, answer: Judgement
) -> tuple[tables.Feedback, bool]:
    """Store a reviewer's answer on sampled sentence `n`; return whether it is the first.

    Raises NotFound if there is no such sentence.
    """
    sampled = _sampled(session, user, scan_id, n)
    sampled.answered = True
    entry = _Entry(answer.verdict, in_order(answer.risk_types), answer.comment, sampled.context)
    return _append(session, user, Target(scan_id, user.id, 0, sampled.start, sampled.end), entry)


def withdraw_answer(session: Session, user: tables.User, scan_id: UUID, n: int) -> None:
    """Withdraw the user's answer on a sampled sentence; NotFound if there is none."""
    sampled = _sampled(session, user, scan_id, n)
    _withdraw(session, user, Target(scan_id, user.id, 0, sampled.start, sampled.end))


def review_finding(session: Session, user: tables.User, scan_id: UUID, n: int) -> FindingReview:
    """Return a finding with the user's verdict and, for reviewers, everyone's.

    The lists end at the newest 100; NotFound if there is no such finding.
    """
    finding = _finding(session, readable(user), scan_id, n)
    own = queries.own_verdicts(session, scan_id, user.id, [n]).get(n)
    author_id = only_author(user)
    history = queries.verdict_history(session, scan_id, n, user_id=author_id, limit=_MAX_SHOWN)
    if author_id is not None:
        return FindingReview(finding, own, (), history)
    current = queries.current_verdicts(session, scan_id, n, limit=_MAX_SHOWN + 1)
    others = [row for row in current if row.user_id != user.id]
    return FindingReview(finding, own, others[:_MAX_SHOWN], history)


def list_feedback(
    session: Session,
    user: tables.User,
    scan_id: UUID,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
) -> Sequence[tables.Feedback]:
    """Return up to `limit` current verdicts and missed risks of a scan, newest first.

    A reviewer sees everyone's, an owner their own, so that nobody copies another's judgement.
    """
    _scan(session, readable(user), scan_id)
    return queries.list_current(
        session, scan_id, user_id=only_author(user), limit=limit, after=after
    )


def list_findings(
    session: Session, user: tables.User, scan_id: UUID, *, after_n: int, limit: int
) -> tuple[tables.Scan, list[tuple[tables.Finding, tables.Feedback | None]]]:
    """Return the scan and up to `limit` findings after number `after_n`, each with the user's verdict."""
    scan = _scan(session, readable(user), scan_id)
    findings = scans.list_findings(session, scan_id, after_n=after_n, limit=limit)
    own = queries.own_verdicts(session, scan_id, user.id, [f.n for f in findings])
    return scan, [(finding, own.get(finding.n)) for finding in findings]


@dataclass(frozen=True, slots=True)
class _Entry:
    """The content of a feedback row, without its author and target."""

    verdict: Verdict
    risk_types: tuple[str, ...]
    comment: str | None = None
    context: str | None = None
    is_verified: bool = True

    def equals(self, row: tables.Feedback, role: str) -> bool:
        if row.origin_scan_id is not None:
            return False  # the user gave that one in another scan
        own = (self.verdict, [*self.risk_types], self.comment, self.context, self.is_verified, role)
        stored = (
            row.verdict,
            sorted(row.risk_types),
            row.comment,
            row.context,
            row.verified,
            row.role,
        )
        return own == stored


def _report_missed(
    session: Session, user: tables.User, scan_id: UUID, missed: Missed, *, is_verified: bool
) -> tuple[tables.Feedback, bool]:
    scan = _scan(session, judgeable(user), scan_id, lock=True)
    check_span(missed, n_characters=scan.coverage["characters"])
    findings = queries.findings_at(session, scan_id, missed.start, missed.end)
    check_against(findings, missed)
    target = Target(scan_id, user.id, 0, missed.start, missed.end)
    is_verified = (
        is_verified
        or bool(findings)
        or queries.is_verified(session, target, missed.context)
        or _is_in_stored_text(session, scan, missed)
    )
    risk_types = in_order(missed.risk_types)
    entry = _Entry(Verdict.MISSED, risk_types, missed.comment, missed.context, is_verified)
    return _append(session, user, target, entry)


def _withdraw(
    session: Session, user: tables.User, target: Target, *, feedback_id: UUID | None = None
) -> None:
    """Append a withdrawal to a target; with `feedback_id`, only if that is its current row."""
    current = queries.newest(session, target)
    is_other = feedback_id is not None and current is not None and current.id != feedback_id
    if current is None or current.verdict == Verdict.WITHDRAWN or is_other:
        raise NotFound(_NO_FEEDBACK)
    entry = _Entry(Verdict.WITHDRAWN, (), context=current.context, is_verified=current.verified)
    _append(session, user, target, entry)
    if target.n == 0:
        samples.reopen(session, target)


def _append(
    session: Session,
    user: tables.User,
    target: Target,
    entry: _Entry,
    *,
    expected: Expected = None,
) -> tuple[tables.Feedback, bool]:
    """Add a row unless the target's newest has the same content; return whether it is the first."""
    previous = queries.newest(session, target)
    check_version(version(previous), expected)
    if previous is not None and entry.equals(previous, user.role):
        return previous, False
    revision = 1 if previous is None else previous.revision + 1
    values = _values(entry, user.role, revision)
    if previous is not None and previous.origin_scan_id is not None:
        values["origin_id"] = previous.origin_id
    row = queries.add_feedback(session, target, values)
    if previous is not None:
        update_copies(session, previous, row)
    _record(session, row)
    return row, previous is None or previous.verdict == Verdict.WITHDRAWN


def _values(entry: _Entry, role: str, revision: int) -> dict[str, Any]:
    return {
        "id": uuid_utils.compat.uuid7(),
        "role": role,
        "revision": revision,
        "verdict": entry.verdict,
        "risk_types": [*entry.risk_types],
        "context": entry.context,
        "comment": entry.comment,
        "verified": entry.is_verified,
        "created_at": datetime.now(UTC),
    }


def _record(session: Session, row: tables.Feedback) -> None:
    is_withdrawal = row.verdict == Verdict.WITHDRAWN
    place = {"finding": row.n} if row.n else {"start": row.start, "end": row.end}
    verdict = {} if is_withdrawal else {"verdict": row.verdict, "risk_types": row.risk_types}
    record(
        session,
        event(
            Action.FEEDBACK_WITHDRAWN if is_withdrawal else Action.FEEDBACK_GIVEN,
            actor=Actor(row.user_id),
            object_type="feedback",
            object_id=row.id,
            detail={"scan_id": str(row.scan_id), **place, **verdict},
        ),
    )


def _scan(session: Session, reach: Reach, scan_id: UUID, *, lock: bool = False) -> tables.Scan:
    scan = queries.scan_under_review(session, scan_id, reach=reach, lock=lock)
    if scan is None:
        raise NotFound(_NO_SCAN)
    return scan


def _finding(
    session: Session, reach: Reach, scan_id: UUID, n: int, *, lock: bool = False
) -> tables.Finding:
    _scan(session, reach, scan_id, lock=lock)
    finding = queries.get_finding(session, scan_id, n) if n <= _MAX_N else None
    if finding is None:
        raise NotFound("This scan has no finding with this number.")
    return finding


def _sampled(session: Session, user: tables.User, scan_id: UUID, n: int) -> tables.SampledSentence:
    _scan(session, judgeable(user), scan_id, lock=True)
    sampled = samples.get_sampled(session, scan_id, n) if n <= _MAX_N else None
    if sampled is None:
        raise NotFound("The sample of this scan has no sentence with this number.")
    return sampled


def _target(user: tables.User, row: tables.Finding | tables.Feedback) -> Target:
    return Target(row.scan_id, user.id, row.n, row.start or 0, row.end or 0)


def _risk_types(judgement: Judgement, original: str | None) -> tuple[str, ...]:
    if judgement.verdict == Verdict.REJECTED:
        return ()
    if judgement.verdict == Verdict.CONFIRMED:
        return (original,) if original else ()  # a foreign title has no type to keep
    if set(judgement.risk_types) == {original}:
        raise refusal("risk_types", "This is the type that the finding has; confirm it instead.")
    return in_order(judgement.risk_types)


def _is_in_stored_text(session: Session, scan: tables.Scan, missed: Missed) -> bool:
    if scan.document_id is None:
        return False
    text = read_characters(session, scan.document_id, start=missed.start, end=missed.end)
    return text == missed.context
