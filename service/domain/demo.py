"""Fills a database with a demo: accounts of every role, a team, documents, real scans, verdicts.

Everything goes through the use cases that serve people, so that each page shows what it would show them.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import secrets
from collections.abc import Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.queries.teams import Shared
from db.queries.users import list_users
from db.tables import (
    ApiKey,
    AuditEvent,
    Base,
    Course,
    Document,
    Enrolment,
    Feedback,
    File,
    Finding,
    ReportLog,
    Role,
    SampledSentence,
    Scan,
    Scope,
    StoredText,
    Team,
    User,
    Verdict,
    WorkSession,
)
from service.domain import demo_files
from service.domain.audit import Actor
from service.domain.demo_courses import teach
from service.domain.demo_files import DemoFile
from service.domain.files import work_sessions
from service.domain.files.files import Upload
from service.domain.preferences import Preferences
from service.domain.reviews.reviews import Judgement, answer_sample, judge
from service.domain.scans.options import ScanOptions
from service.domain.settings.settings import put_settings
from service.domain.teams import sharing
from service.errors import ConfigError, Conflict, Unauthenticated
from service.nlp.pipeline import Submission
from service.observability import request_id

if TYPE_CHECKING:
    from service.domain.services import Services

DOMAIN = "demo.local"
COLLEAGUE, NEWCOMER = f"colleague@{DOMAIN}", f"newcomer@{DOMAIN}"
TEAM = "Harbour Gate"
_SAMPLED = 5
_FAILED_LOGINS = 3
_STRANGER = "203.0.113.7"  # an address for examples, RFC 5737
_COUNTED: Mapping[str, type[Base]] = {
    "documents": Document,
    "scans": Scan,
    "findings": Finding,
    "verdicts": Feedback,
    "sessions": WorkSession,
    "files": File,
    "teams": Team,
    "courses": Course,
    "enrolments": Enrolment,
    "API keys": ApiKey,
    "audit events": AuditEvent,
    "exports": ReportLog,
}
_VERDICTS = (Verdict.CONFIRMED, Verdict.CONFIRMED, Verdict.REJECTED, Verdict.CONFIRMED)
_DOUBTS = (Verdict.CONFIRMED, Verdict.REJECTED, Verdict.REJECTED)
_COMMENT = "The sentence describes a control, not a risk."


@dataclass(frozen=True, slots=True)
class Seeded:
    """The accounts with their passwords, and how many rows of each kind the database has now."""

    accounts: Sequence[tuple[User, str]]
    counts: Mapping[str, int]


def address(role: Role) -> str:
    """Return the address of the demo's account of a role."""
    return f"{role.value}@{DOMAIN}"


class Demo:
    """The demo of one installation."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._transactions = services.transactions
        self._operator = Actor.current_operator()

    def seed(self, *, password: str | None, force: bool) -> Seeded:
        """Create the demo; each account gets `password`, or a random one of its own.

        Raises:
            ConfigError: this is a production service, and `force` is not set.
            Conflict: the demo, or a part of it, is there already.
            InvalidRequest: the password is too short.
        """
        if self._services.config.riskscan_env == "production" and not force:
            raise ConfigError(
                "RISKSCAN_ENV is production. A demo has accounts with passwords on the terminal, an "
                "administrator among them; use --force only for an installation without real data."
            )
        self._require_new()
        accounts = self._accounts(password)
        people = {user.email: user for user, _ in accounts}
        owner, colleague = people[address(Role.USER)], people[COLLEAGUE]
        scans = [*self._scan_documents(owner, colleague), *self._scan_session(owner)]
        self._share(people, scans[0])
        self._review(people, scans)
        teach(self._services, people[address(Role.INSTRUCTOR)], owner, colleague)
        self._administer(owner)
        self._services.audit_seals.seal()
        return Seeded(accounts, self._transactions.read(_counts))

    def _require_new(self) -> None:
        users = self._transactions.read(list_users)
        if present := [user.email for user in users if user.email.endswith(f"@{DOMAIN}")]:
            raise Conflict(
                f"There are accounts of a demo already, such as {present[0]}. Name an empty database in "
                "DATABASE_URL for another one."
            )

    def _accounts(self, password: str | None) -> list[tuple[User, str]]:
        register = self._services.accounts.register
        created = []
        for email, role in [*((address(role), role) for role in Role), (COLLEAGUE, Role.USER)]:
            secret = password or secrets.token_urlsafe(12)
            user = register(email, secret, role=role, actor=self._operator)
            created.append((user, secret))
        self._services.password_links.invite(NEWCOMER, role=Role.USER, actor=self._operator)
        return created

    def _scan_documents(self, owner: User, colleague: User) -> list[Scan]:
        """Scan documents of two people, one in two versions, and one again with another sensitivity."""
        keep = Preferences(store_original=True)
        self._transactions.run(put_settings, owner.id, keep)
        create = self._services.scans.create
        first = create(owner.id, _submission(demo_files.project_plan()), key=None, preferences=keep)
        later = _submission(demo_files.project_plan(later=True))
        plan = first.scan.document_id
        second = create(owner.id, later, key=None, version_of=plan, preferences=keep)
        contract = create(colleague.id, _submission(demo_files.vendor_agreement()), key=None)
        scans = [second.scan, contract.scan]
        if contract.scan.document_id is not None and self._keeps_text():
            options = ScanOptions(sensitivity="recall")
            again = self._services.scans.scan_again(
                colleague.id, contract.scan.document_id, options, key=None
            )
            scans.append(again.scan)
        return scans

    def _keeps_text(self) -> bool:
        return self._services.config.store_text == StoredText.FULL.value

    def _scan_session(self, owner: User) -> list[Scan]:
        """Upload files into a work session, and scan them there."""
        services = self._services
        session = self._transactions.run(
            work_sessions.create,
            owner.id,
            "Supplier review 2026",
            max_sessions=services.config.max_sessions,
        ).work_session
        scans = []
        for file in (demo_files.security_policy(), demo_files.audit_report()):
            upload = Upload(file.name, file.media_type, io.BytesIO(file.data))
            stored = services.files.add(owner.id, session.id, upload)
            scans.append(services.file_scans.scan(stored, ScanOptions()).scan)
        return scans

    def _share(self, people: Mapping[str, User], scan: Scan) -> None:
        """Form a team, and share the project plan with it."""
        teams, owner = self._services.teams, people[address(Role.USER)]
        team = teams.create(TEAM, actor=self._operator)
        for email in (owner.email, COLLEAGUE, address(Role.TEAM_REVIEWER)):
            teams.add_member(team.id, people[email].id, actor=self._operator)
        if scan.document_id is not None:
            sharing.share(self._transactions, owner.id, Shared.DOCUMENT, scan.document_id, team.id)

    def _review(self, people: Mapping[str, User], scans: Sequence[Scan]) -> None:
        """Let a reviewer judge most findings, a member of the team those of the shared plan otherwise."""
        reviewer = people[address(Role.REVIEWER)]
        for scan in scans[:-1]:  # the last one waits in the review queue
            self._judge(reviewer, scan, _VERDICTS)
        self._judge(people[address(Role.TEAM_REVIEWER)], scans[0], _DOUBTS)
        answer = Judgement(Verdict.NO_RISK)
        for scan_id, n in self._transactions.read(_sampled):
            self._transactions.run(answer_sample, reviewer, scan_id, n, answer)

    def _judge(self, user: User, scan: Scan, verdicts: Sequence[Verdict]) -> None:
        numbers = range(1, scan.n_findings + 1)
        for n, verdict in zip(numbers, itertools.cycle(verdicts), strict=False):
            comment = _COMMENT if verdict is Verdict.REJECTED else None
            judgement = Judgement(verdict, comment=comment)
            self._transactions.run(judge, user, scan.id, n, judgement)

    def _administer(self, owner: User) -> None:
        """Leave an API key, an export, and failed log-ins of a stranger."""
        self._services.api_keys.create(
            owner,
            name="Nightly import",
            scopes=[Scope.SCAN, Scope.READ],
            lifetime=timedelta(days=90),
        )
        with contextlib.closing(
            self._services.user_data.export(owner.id, actor=Actor(owner.id))
        ) as export:
            for _ in export:
                pass  # nobody keeps it; the log of exports has a row
        copy_context().run(self._fail_to_log_in)  # which sets the client of its own context

    def _fail_to_log_in(self) -> None:
        request_id.begin(None, client_address=_STRANGER)
        for _ in range(_FAILED_LOGINS):
            with contextlib.suppress(Unauthenticated):
                self._services.accounts.log_in(address(Role.ADMIN), secrets.token_urlsafe(12))


def _submission(file: DemoFile) -> Submission:
    return Submission(data=file.data, filename=file.name, media_type=file.media_type)


def _sampled(session: Session) -> list[tuple[UUID, int]]:
    """Return some of the sentences that reviewers are asked about."""
    query = select(SampledSentence.scan_id, SampledSentence.n).order_by(SampledSentence.draw)
    return [(row.scan_id, row.n) for row in session.execute(query.limit(_SAMPLED))]


def _counts(session: Session) -> dict[str, int]:
    return {
        name: session.scalar(select(func.count()).select_from(table)) or 0
        for name, table in _COUNTED.items()
    }
