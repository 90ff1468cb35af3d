"""The register as a workbook, which people can change and import again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries.pages import Position
from db.queries.risks import RiskFilter
from service.domain import report_logs
from service.domain.audit import Action, Actor, event, record
from service.domain.report_logs import Export, Kind, Report, ReportLogs
from service.domain.risks.views import RiskView, list_risks
from service.domain.transactions import Transactions
from service.domain.workbooks import Book, workbook_chunks

SHEET = "Risks"
COLUMNS = (
    ("Id", 38),
    ("Version", 8),
    ("Title", 40),
    ("Description", 60),
    ("Category", 20),
    ("Risk type", 24),
    ("Owner", 30),
    ("Team", 20),
    ("Likelihood", 10),
    ("Impact", 8),
    ("Rating", 8),
    ("Due on", 12),
    ("Mitigation", 60),
    ("State", 12),
    ("Created at (UTC)", 20),
    ("Changed at (UTC)", 20),
    ("Last seen at (UTC)", 20),
    ("Seen in newest", 14),
)
_RISKS_AT_ONCE = 200


class RegisterFile:
    """Writes the risks that a user sees to a workbook."""

    def __init__(self, transactions: Transactions, logs: ReportLogs) -> None:
        self._transactions = transactions
        self._logs = logs

    def export(self, user_id: UUID, filters: RiskFilter) -> Export:
        """Record the export, and return the bytes of the workbook.

        Raises:
            DatabaseUnavailable, StorageUnavailable: also while the bytes are read.
        """
        actor = Actor(user_id)
        exported = event(Action.DATA_EXPORTED, actor=actor, object_type="risks")
        report = Report(Kind.RISKS, "xlsx", actor)

        def begin(session: Session) -> UUID:
            record(session, exported)
            return report_logs.begin(session, report)

        report_id = self._transactions.run(begin)
        chunks = workbook_chunks(lambda book: self._fill(book, user_id, filters))
        return self._logs.follow(report_id, chunks)

    def _fill(self, book: Book, user_id: UUID, filters: RiskFilter) -> int:
        table, n_rows = book.table(SHEET, COLUMNS), 0
        for views in self._pages(user_id, filters):
            n_rows += len(views)
            for view in views:
                table.add(cells(view))
        return n_rows

    def _pages(self, user_id: UUID, filters: RiskFilter) -> Iterator[Sequence[RiskView]]:
        after: Position | None = None
        while page := self._transactions.read(
            list_risks, user_id, filters, limit=_RISKS_AT_ONCE, after=after
        ):
            yield page
            after = (page[-1].created_at, page[-1].id)


def cells(view: RiskView) -> tuple[object, ...]:
    """Return a risk as the cells of its row, in the order of COLUMNS."""
    risk = view.risk
    times = (risk.created_at, risk.changed_at, view.last_seen_at)
    return (
        str(risk.id),
        risk.version,
        risk.title,
        risk.description,
        risk.category,
        risk.risk_type,
        view.owner,
        view.team,
        risk.likelihood,
        risk.impact,
        risk.rating,
        None if risk.due_on is None else risk.due_on.isoformat(),
        risk.mitigation,
        risk.state,
        *(None if at is None else f"{at:%F %T}" for at in times),
        {True: "yes", False: "no", None: None}[view.seen_in_newest],
    )
