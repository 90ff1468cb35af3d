"""Use cases of reviewing: verdicts on findings, missed risks, who may give and see them."""

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
from db.queries import scans
from db.queries.feedback import Target
from db.tables import Role, Verdict
from service.domain.audit import Action, Actor, event, record
from service.domain.reviews.adjudication import in_order
from service.domain.transactions import Transactions
from service.errors import Fault, InvalidRequest, NotFound
from service.nlp.pipeline import Submission

REVIEWER_ROLES = (Role.REVIEWER, Role.ADMIN)
_MAX_N = 2**31 - 1
_MOST_SHOWN = 100
_NO_SCAN = "There is no scan with this id that you may review."
_NOTHING_GIVEN = "You have no feedback here to withdraw."


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a user says of a finding; `risk_types` are given with `relabelled` alone."""

    verdict: Verdict
    risk_types: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Missed:
    """A risk that was not found: the sentence verbatim, where it stands, and its types."""

    start: int
    end: int
    context: str
    risk_types: tuple[str, ...]
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class FindingReview:
    """A finding as a user sees it; `others` is empty but for reviewers. Lists are newest first."""

    finding: tables.Finding
    own: tables.Feedback | None
    others: Sequence[tables.Feedback]
    history: Sequence[tables.Feedback]


class Reviews:
    """Feedback on stored scans, given by a scan's owner and by reviewers on anyone's.

    Every method raises NotFound for a scan that the user may not review, as if there was none.
    """

    def __init__(self, transactions: Transactions, text_of: Callable[[Submission], str]) -> None:
        """`text_of` returns the extracted text of a document; spans refer to it."""
        self._transactions = transactions
        self._text_of = text_of

    def judge(
        self, user: tables.User, scan_id: UUID, n: int, judgement: Judgement
    ) -> tuple[tables.Feedback, bool]:
        """Store the user's verdict on a finding in place of an earlier one; tell whether it is the first.

        Raises:
            NotFound: no such finding.
            InvalidRequest: relabelled with the type that the finding has.
        """

        def work(session: Session) -> tuple[tables.Feedback, bool]:
            finding = _finding(session, user, scan_id, n, lock=True)
            risk_types = _standing(judgement, finding.risk_type)
            said = _Said(judgement.verdict, risk_types, judgement.comment)
            return _append(session, user, _target(user, finding), said, feedback_id)

        feedback_id = uuid_utils.compat.uuid7()  # ours, so that a run again finds its row
        return self._transactions.run(work)

    def report_missed(
        self,
        user: tables.User,
        scan_id: UUID,
        missed: Missed,
        *,
        document: Submission | None = None,
    ) -> tuple[tables.Feedback, bool]:
        """Store a missed risk, replacing the user's report of this span; return whether it is the first.

        The report is verified if `document`, a finding or an earlier verified report has the sentence at
        the span. It cannot be verified otherwise, since documents are not stored.

        Raises:
            InvalidRequest: the span or the sentence cannot be in this document, the risk is already a
                finding, or `document` is not the scanned one.
        """

        def work(session: Session) -> tuple[tables.Feedback, bool]:
            scan = _scan(session, user, scan_id, lock=True)
            _check_span(missed, n_characters=scan.coverage["characters"])
            findings = queries.findings_at(session, scan_id, missed.start, missed.end)
            _check_against(findings, missed)
            target = Target(scan_id, user.id, 0, missed.start, missed.end)
            is_verified = (
                document is not None
                or bool(findings)
                or queries.is_verified(session, target, missed.context)
            )
            risk_types = in_order(missed.risk_types)
            said = _Said(Verdict.MISSED, risk_types, missed.comment, missed.context, is_verified)
            return _append(session, user, target, said, feedback_id)

        if document is not None:
            self._check_document(user, scan_id, missed, document)

        feedback_id = uuid_utils.compat.uuid7()
        return self._transactions.run(work)

    def _check_document(
        self, user: tables.User, scan_id: UUID, missed: Missed, document: Submission
    ) -> None:
        """Raise InvalidRequest if the document is not the scanned one, or has another text at the span."""
        scan = self._transactions.run(lambda session: _scan(session, user, scan_id))
        _check_span(missed, n_characters=int(scan.coverage["characters"]))
        if document.sha256() != scan.document_sha256:
            field = "text" if document.data is None else "file"
            raise _refusal(field, "This is not the document that was scanned: its sha256 differs.")
        if self._text_of(document)[missed.start : missed.end] != missed.context:
            message = "The document has another text at this span; send the sentence verbatim."
            raise _refusal("context", message)

    def withdraw_verdict(self, user: tables.User, scan_id: UUID, n: int) -> None:
        """Withdraw the user's verdict on a finding; NotFound when there is none."""

        def target(session: Session) -> Target:
            return _target(user, _finding(session, user, scan_id, n, lock=True))

        self._withdraw(user, target)

    def withdraw(self, user: tables.User, scan_id: UUID, feedback_id: UUID) -> None:
        """Withdraw the user's own feedback of this id, of either kind; NotFound when it is not theirs."""

        def target(session: Session) -> Target:
            _scan(session, user, scan_id, lock=True)
            row = queries.feedback_by_id(session, feedback_id)
            if row is None or (row.scan_id, row.user_id) != (scan_id, user.id):
                raise NotFound(_NOTHING_GIVEN)
            return _target(user, row)

        self._withdraw(user, target, feedback_id=feedback_id)

    def of_finding(self, user: tables.User, scan_id: UUID, n: int) -> FindingReview:
        """Return a finding with the user's verdict and, for reviewers, everyone's.

        The lists end at the newest 100; NotFound when there is no such finding.
        """

        def work(session: Session) -> FindingReview:
            finding = _finding(session, user, scan_id, n)
            own = queries.own_of_findings(session, scan_id, user.id, [n]).get(n)
            history = queries.history_of_finding(
                session, scan_id, n, user_id=only_owner(user), limit=_MOST_SHOWN
            )
            if only_owner(user):
                return FindingReview(finding, own, (), history)
            current = queries.current_of_finding(session, scan_id, n, limit=_MOST_SHOWN + 1)
            others = [row for row in current if row.user_id != user.id]
            return FindingReview(finding, own, others[:_MOST_SHOWN], history)

        return self._transactions.run(work)

    def of_scan(
        self,
        user: tables.User,
        scan_id: UUID,
        *,
        limit: int,
        after: tuple[datetime, UUID] | None = None,
    ) -> Sequence[tables.Feedback]:
        """Return up to `limit` current verdicts and missed risks of a scan, newest first.

        A reviewer sees everyone's, an owner their own, so that nobody copies another's judgement.
        """

        def work(session: Session) -> Sequence[tables.Feedback]:
            _scan(session, user, scan_id)
            return queries.list_current(
                session, scan_id, user_id=only_owner(user), limit=limit, after=after
            )

        return self._transactions.run(work)

    def findings(
        self, user: tables.User, scan_id: UUID, *, after_n: int, limit: int
    ) -> tuple[tables.Scan, list[tuple[tables.Finding, tables.Feedback | None]]]:
        """Return the scan and up to `limit` findings after number `after_n`, each with the user's verdict."""

        def work(
            session: Session,
        ) -> tuple[tables.Scan, list[tuple[tables.Finding, tables.Feedback | None]]]:
            scan = _scan(session, user, scan_id)
            found = scans.findings_of_scan(session, scan_id, after_n=after_n, limit=limit)
            own = queries.own_of_findings(session, scan_id, user.id, [f.n for f in found])
            return scan, [(finding, own.get(finding.n)) for finding in found]

        return self._transactions.run(work)

    def _withdraw(
        self,
        user: tables.User,
        target_in: Callable[[Session], Target],
        *,
        feedback_id: UUID | None = None,
    ) -> None:
        """Append a withdrawal to a target whose current row has `feedback_id`, when that is given."""

        def work(session: Session) -> None:
            target = target_in(session)
            if queries.feedback_by_id(session, withdrawal_id):
                return  # by a run whose answer was lost
            current = queries.newest(session, target)
            is_other = feedback_id is not None and current is not None and current.id != feedback_id
            if current is None or current.verdict == Verdict.WITHDRAWN or is_other:
                raise NotFound(_NOTHING_GIVEN)
            said = _Said(
                Verdict.WITHDRAWN, (), context=current.context, is_verified=current.verified
            )
            _append(session, user, target, said, withdrawal_id)

        withdrawal_id = uuid_utils.compat.uuid7()
        self._transactions.run(work)


def only_owner(user: tables.User) -> UUID | None:
    """Return the only owner whose scans and feedback the user may see; None for everyone's."""
    return None if user.role in REVIEWER_ROLES else user.id


@dataclass(frozen=True, slots=True)
class _Said:
    verdict: Verdict
    risk_types: tuple[str, ...]
    comment: str | None = None
    context: str | None = None
    is_verified: bool = True

    def is_said_by(self, row: tables.Feedback, role: str) -> bool:
        now = (self.verdict, [*self.risk_types], self.comment, self.context, self.is_verified, role)
        stored = (row.verdict, row.risk_types, row.comment, row.context, row.verified, row.role)
        return now == stored


def _append(
    session: Session, user: tables.User, target: Target, said: _Said, feedback_id: UUID
) -> tuple[tables.Feedback, bool]:
    """Add a row after the target's newest, unless that says the same; tell whether it is the first."""
    stored = queries.feedback_by_id(session, feedback_id)  # by a run whose answer was lost
    below = None if stored is None else stored.revision
    previous = queries.newest(session, target, below=below)
    if stored is None and previous is not None and said.is_said_by(previous, user.role):
        return previous, False
    if stored is None:
        revision = 1 if previous is None else previous.revision + 1
        stored = queries.add_feedback(
            session, target, _values(said, user.role, revision, feedback_id)
        )
        _record(session, stored)
    return stored, previous is None or previous.verdict == Verdict.WITHDRAWN


def _values(said: _Said, role: str, revision: int, feedback_id: UUID) -> dict[str, Any]:
    return {
        "id": feedback_id,
        "role": role,
        "revision": revision,
        "verdict": said.verdict,
        "risk_types": [*said.risk_types],
        "context": said.context,
        "comment": said.comment,
        "verified": said.is_verified,
        "created_at": datetime.now(UTC),
    }


def _record(session: Session, row: tables.Feedback) -> None:
    is_withdrawal = row.verdict == Verdict.WITHDRAWN
    place = {"finding": row.n} if row.n else {"start": row.start, "end": row.end}
    said = {} if is_withdrawal else {"verdict": row.verdict, "risk_types": row.risk_types}
    record(
        session,
        event(
            Action.FEEDBACK_WITHDRAWN if is_withdrawal else Action.FEEDBACK_GIVEN,
            actor=Actor(row.user_id),
            object_type="feedback",
            object_id=row.id,
            detail={"scan_id": str(row.scan_id), **place, **said},
        ),
    )


def _scan(session: Session, user: tables.User, scan_id: UUID, *, lock: bool = False) -> tables.Scan:
    scan = queries.scan_under_review(session, scan_id, owner_id=only_owner(user), lock=lock)
    if scan is None:
        raise NotFound(_NO_SCAN)
    return scan


def _finding(
    session: Session, user: tables.User, scan_id: UUID, n: int, *, lock: bool = False
) -> tables.Finding:
    _scan(session, user, scan_id, lock=lock)
    finding = queries.finding_of_scan(session, scan_id, n) if n <= _MAX_N else None
    if finding is None:
        raise NotFound("This scan has no finding with this number.")
    return finding


def _target(user: tables.User, row: tables.Finding | tables.Feedback) -> Target:
    return Target(row.scan_id, user.id, row.n, row.start or 0, row.end or 0)


def _standing(judgement: Judgement, found: str | None) -> tuple[str, ...]:
    if judgement.verdict == Verdict.REJECTED:
        return ()
    if judgement.verdict == Verdict.CONFIRMED:
        return (found,) if found else ()  # a foreign title has no type to keep
    if set(judgement.risk_types) == {found}:
        raise _refusal("risk_types", "This is the type that the finding has; confirm it instead.")
    return in_order(judgement.risk_types)


def _check_span(missed: Missed, *, n_characters: int | None) -> None:
    if n_characters is None:
        raise _refusal("start", "Only the AI service read this file, so spans cannot be checked.")
    if missed.end > n_characters:
        raise _refusal("end", f"The document has {n_characters} characters; end lies beyond them.")
    if len(missed.context) != missed.end - missed.start:
        raise _refusal(
            "context",
            f"The sentence has {len(missed.context)} characters (code points) and the span "
            f"{missed.end - missed.start}; send the sentence verbatim.",
        )


def _check_against(findings: Sequence[tables.Finding], missed: Missed) -> None:
    """Refuse what the findings of the same span contradict."""
    if findings and findings[0].context != missed.context:
        raise _refusal("context", "Another sentence was found at this span; send it verbatim.")
    for finding in findings:
        if finding.risk_type in missed.risk_types:
            raise _refusal(
                "risk_types",
                f"Finding {finding.n} names {finding.risk_type} here; confirm that one instead.",
            )


def _refusal(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, faults=(Fault(field, message),))
