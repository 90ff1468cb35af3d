"""Use case of reporting: the scans that a user selects, as a file of some format, logged as an export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from db import tables
from db.queries import reports as queries
from db.queries import scans, teams
from db.queries.pages import Position
from db.queries.reach import Reach
from db.queries.reports import Selection
from db.tables import Permission, may
from service.domain import report_logs
from service.domain.access import only_author
from service.domain.audit import Action, Actor, event, record
from service.domain.foreign_reads import ForeignReads
from service.domain.report_logs import Chunk, Export, Kind, Report, ReportLogs
from service.domain.reports.content import Content, FindingRow, ReportedScan, Summary, finding_row
from service.domain.reports.csv_report import csv_chunks
from service.domain.reports.html_report import html_chunks
from service.domain.reports.json_report import json_chunks
from service.domain.reports.sarif_report import sarif_chunks
from service.domain.reports.xlsx_report import xlsx_chunks
from service.domain.transactions import Transactions
from service.errors import NotFound
from service.nlp.taxonomy import Taxonomy

SCANS_AT_ONCE = 100
FINDINGS_AT_ONCE = 500
NO_SCAN = "There is no scan with this id that you may read."


class Format(StrEnum):
    """The format of a report; the value is its file's extension."""

    JSON = "json"
    CSV = "csv"
    XLSX = "xlsx"
    PDF = "pdf"
    HTML = "html"
    SARIF = "sarif"


MEDIA_TYPES: Mapping[Format, str] = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Format.PDF: "application/pdf",
    Format.HTML: "text/html",
    Format.SARIF: "application/sarif+json",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a report: an account, the scans that it may read, and whose verdicts it sees (None: all)."""

    user_id: UUID
    reach: Reach
    author_id: UUID | None

    @classmethod
    def of(cls, user: tables.User, reach: Reach) -> Reader:
        """Return a user as the reader of the scans in `reach`."""
        return cls(user.id, reach, only_author(user))


class Reports:
    """Writes reports, which are read from the database while they are sent."""

    def __init__(
        self,
        transactions: Transactions,
        logs: ReportLogs,
        foreign_reads: ForeignReads,
        *,
        fonts: Callable[[], Sequence[Path]],
    ) -> None:
        """`fonts` returns the font files of PDF reports; see `pdf_report.pdf_chunks`."""
        self._transactions = transactions
        self._logs = logs
        self._foreign_reads = foreign_reads
        self._writers: Mapping[Format, Callable[[Content], Iterator[Chunk]]] = {
            Format.JSON: json_chunks,
            Format.CSV: csv_chunks,
            Format.XLSX: xlsx_chunks,
            Format.PDF: partial(_pdf_chunks, fonts=fonts),
            Format.HTML: html_chunks,
            Format.SARIF: sarif_chunks,
        }

    def write(
        self,
        reader: Reader,
        selection: Selection,
        file_format: Format,
        taxonomy: Taxonomy,
        *,
        by_link: bool = False,
    ) -> Export:
        """Record the export, and return the bytes of the report.

        Scans that begin later are left out. `by_link` says that the reader used a signed link.

        Raises:
            NotFound: a scan that `selection` names is not in reach.
            DatabaseUnavailable: also while the bytes are read; the report is incomplete then.
            StorageUnavailable: while the bytes are read, as `xlsx_chunks` and `pdf_chunks` do.
        """
        self._transactions.read(_check_scans, reader.reach, selection.scan_ids)
        actor, scope = Actor(reader.user_id), _scope(selection, by_link=by_link)
        now = datetime.now(UTC)
        if not selection.scan_ids:  # those that it names may be newer by another machine's clock
            before = selection.created_before
            selection = replace(selection, created_before=min(before, now) if before else now)
        report = Report(Kind.SCANS, file_format, actor, scope)
        detail = {"format": file_format, **scope}
        exported = event(Action.DATA_EXPORTED, actor=actor, object_type="scans", detail=detail)

        def begin(session: Session) -> UUID:
            record(session, exported)
            return report_logs.begin(session, report)

        report_id = self._transactions.run(begin)
        chunks = self._chunks(self._writers[file_format], reader, selection, taxonomy, now)
        return self._logs.follow(report_id, chunks)

    def _chunks(
        self,
        write: Callable[[Content], Iterator[Chunk]],
        reader: Reader,
        selection: Selection,
        taxonomy: Taxonomy,
        now: datetime,
    ) -> Iterator[Chunk]:
        summary = self._summary(reader, selection, taxonomy, now)
        yield from write(Content(summary, self._scans(reader, selection, taxonomy), taxonomy))

    def _summary(
        self, reader: Reader, selection: Selection, taxonomy: Taxonomy, now: datetime
    ) -> Summary:
        n_scans, counts = 0, Counter[str]()
        for page in self._pages(reader, selection):
            n_scans += len(page)
            ids = [scan.id for scan in page]
            for names, n in self._transactions.read(queries.count_by_category, ids).items():
                counts[taxonomy.category_title(*names)] += n
        by_category = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return Summary(now, n_scans, counts.total(), by_category)

    def _scans(
        self, reader: Reader, selection: Selection, taxonomy: Taxonomy
    ) -> Iterator[ReportedScan]:
        for page in self._pages(reader, selection):
            self._foreign_reads.store_list(reader.user_id, "report", page)
            judged = self._transactions.read(queries.judged_among, [scan.id for scan in page])
            for scan in page:
                load = partial(
                    _rows, scan_id=scan.id, author_id=reader.author_id, is_judged=scan.id in judged
                )
                yield ReportedScan(scan, self._rows(load, taxonomy))

    def _pages(self, reader: Reader, selection: Selection) -> Iterator[Sequence[tables.Scan]]:
        after: Position | None = None
        while page := self._transactions.read(
            queries.list_selected, reader.reach, selection, limit=SCANS_AT_ONCE, after=after
        ):
            yield page
            after = (page[-1].created_at, page[-1].id)

    def _rows(
        self, load: Callable[..., list[FindingRow]], taxonomy: Taxonomy
    ) -> Iterator[Sequence[FindingRow]]:
        after_n = 0
        while rows := self._transactions.read(load, taxonomy=taxonomy, after_n=after_n):
            yield rows
            after_n = rows[-1].finding.n


def require_team(session: Session, user: tables.User, team_id: UUID) -> None:
    """Raise NotFound unless the user is in the team, or may read everyone's scans."""
    if may(user.role, Permission.REVIEW_ALL):
        is_known = teams.get_team(session, team_id) is not None
    else:
        is_known = teams.is_member(session, team_id, user.id)
    if not is_known:
        raise NotFound("There is no team with this id of which you are a member.")


def require_scan(session: Session, reach: Reach, scan_id: UUID) -> tables.Scan:
    """Return a scan; NotFound if it is not in reach."""
    scan = scans.get_scan(session, scan_id, reach)
    if scan is None:
        raise NotFound(NO_SCAN)
    return scan


def _check_scans(session: Session, reach: Reach, scan_ids: Sequence[UUID]) -> None:
    for scan_id in scan_ids:
        require_scan(session, reach, scan_id)


def _rows(
    session: Session,
    *,
    scan_id: UUID,
    author_id: UUID | None,
    is_judged: bool,
    taxonomy: Taxonomy,
    after_n: int,
) -> list[FindingRow]:
    findings = scans.list_findings(session, scan_id, after_n=after_n, limit=FINDINGS_AT_ONCE)
    numbers = [finding.n for finding in findings]
    verdicts: Mapping[int, list[tables.Feedback]] = {}
    if is_judged and numbers:
        verdicts = queries.verdicts_on(session, scan_id, numbers, user_id=author_id)
    return [finding_row(f, verdicts.get(f.n, ()), taxonomy) for f in findings]


def _scope(selection: Selection, *, by_link: bool) -> dict[str, Any]:
    """Return the selection as the log of exports has it."""
    ids = {"scan_ids": [str(scan_id) for scan_id in selection.scan_ids]}
    others = ("work_session_id", "team_id", "created_from", "created_before")
    values = {name: str(value) for name in others if (value := getattr(selection, name))}
    return {**(ids if selection.scan_ids else {}), **values, **({"link": True} if by_link else {})}


def _pdf_chunks(content: Content, *, fonts: Callable[[], Sequence[Path]]) -> Iterator[Chunk]:
    from service.domain.reports.pdf_report import pdf_chunks  # noqa: PLC0415 - takes 24 MB, mostly unused

    return pdf_chunks(content, fonts())
