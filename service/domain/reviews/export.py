"""Exports feedback as labelled sentences for ml: JSON lines, scan by scan, to save memory."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO
from uuid import UUID

from sqlalchemy.orm import Session

from db import tables
from db.queries import feedback as queries
from db.tables import Verdict
from service.domain import report_logs
from service.domain.adjudication import (
    Review,
    Settled,
    Status,
    deciding,
    settle,
    settle_sentence,
)
from service.domain.audit import Action, Actor, event, record
from service.domain.report_logs import Chunk, Kind, Report, ReportLogs
from service.domain.transactions import Transactions
from service.domain.verdicts import as_review

_log = logging.getLogger(__name__)
SCANS_AT_ONCE = 500
Line = tuple[Status, str | None]
"""A sentence's status and its line; None for an omitted sentence."""


@dataclass(frozen=True, slots=True)
class _Sentence:
    """A sentence of a scan, all its findings and each user's newest row on any part of it."""

    text: str
    findings: list[tables.Finding] = field(default_factory=list)
    rows: list[tables.Feedback] = field(default_factory=list)

    @property
    def is_verified(self) -> bool:
        """Whether the service saw this sentence in the document."""
        return bool(self.findings) or any(row.verified for row in self.rows)

    def current(self) -> list[tables.Feedback]:
        return [row for row in self.rows if row.verdict != Verdict.WITHDRAWN]


class FeedbackExport:
    """Writes reviewed sentences with the risk types that apply after all verdicts."""

    def __init__(self, transactions: Transactions, logs: ReportLogs, *, secret_key: str) -> None:
        self._transactions = transactions
        self._logs = logs
        self._secret_key = secret_key.encode()

    def write(
        self, file: TextIO, *, actor: Actor, since: datetime | None = None
    ) -> Counter[Status]:
        """Write a line for each sentence with a verdict; return how many sentences have each status.

        Counts an unverified sentence but omits it, since it may be invented.

        Lines are ordered by scan and span, so two exports of the same feedback are equal. `since` limits
        the export to sentences whose feedback was given, changed or withdrawn at that time or later. A
        row whose sentence is no longer stored is omitted, with a warning in the log.

        Raises:
            DatabaseUnavailable: the export is incomplete.
            OSError: `file` cannot be written.
        """
        scope = {"since": since.isoformat()} if since else {}
        report = Report(Kind.FEEDBACK, "jsonl", actor, scope)
        report_id, counts = self._transactions.run(report_logs.begin, report), Counter[Status]()
        with contextlib.closing(
            self._logs.follow(report_id, self._chunks(since, counts))
        ) as chunks:
            file.writelines(chunk.decode("ascii") for chunk in chunks)
            file.flush()
        self._transactions.run(_record, counts, since, actor=actor)
        return counts

    def write_file(
        self, path: Path, *, actor: Actor, since: datetime | None = None
    ) -> Counter[Status]:
        """Write the lines to a file of mode 0600, which appears whole or not at all; see `write`.

        A device or a pipe receives the lines and is not replaced.
        """
        with _replacing(path) if _is_regular(path) else path.open("w", encoding="ascii") as file:
            return self.write(file, actor=actor, since=since)

    def _chunks(self, since: datetime | None, counts: Counter[Status]) -> Iterator[Chunk]:
        for status, line in self._lines(since):
            counts[status] += 1
            if line is not None:
                yield 1, f"{line}\n".encode("ascii")

    def _lines(self, since: datetime | None) -> Iterator[Line]:
        after: UUID | None = None
        while scan_ids := self._scan_ids(since, after):
            for scan_id in scan_ids:
                yield from self._transactions.read(self._scan_lines, scan_id, since)
            after = scan_ids[-1]

    def _scan_ids(self, since: datetime | None, after: UUID | None) -> Sequence[UUID]:
        return self._transactions.read(
            queries.scans_with_feedback, since=since, after=after, limit=SCANS_AT_ONCE
        )

    def _scan_lines(self, session: Session, scan_id: UUID, since: datetime | None) -> list[Line]:
        scan = queries.scan_under_review(session, scan_id)
        if scan is None:
            return []  # deleted since its id was read
        due = (
            sentence
            for sentence in _sentences(session, scan_id)
            if sentence.current() and _is_due(sentence, since) and _has_all_types(sentence)
        )
        return [self._line(scan, sentence) for sentence in due]

    def _line(self, scan: tables.Scan, sentence: _Sentence) -> Line:
        if not sentence.is_verified:
            return Status.UNVERIFIED, None
        rows = sentence.current()
        settled = _settled(sentence)
        content = {
            "text": sentence.text,
            "labels": settled.risk_types,
            "doc": scan.document_sha256 or str(scan.id),
            "license": "feedback",
            "status": settled.status.name.lower(),
            "user": self._pseudonym(deciding(map(as_review, rows)).user_id),
            "provenance": {
                "scan_id": str(scan.id),
                "findings": [finding.n for finding in sentence.findings],
                "verdicts": [self._verdict_fields(row) for row in rows],
                "model_name": scan.model_name,
                "model_version": scan.model_version,
                "source": scan.source,
                "sensitivity": scan.sensitivity,
            },
        }
        # In ASCII, since some readers split a file at every line separator of Unicode.
        return settled.status, json.dumps(content)

    def _verdict_fields(self, row: tables.Feedback) -> dict[str, Any]:
        return {
            "user": self._pseudonym(row.user_id),
            "finding": row.n or None,
            "verdict": row.verdict,
            "risk_types": row.risk_types,
            "at": row.created_at.isoformat(),
        }

    def _pseudonym(self, user_id: UUID) -> str:
        """Return 16 hex characters that stand for the user in every export, without the name."""
        return hmac.new(self._secret_key, str(user_id).encode(), hashlib.sha256).hexdigest()[:16]


def _sentences(session: Session, scan_id: UUID) -> list[_Sentence]:
    rows = queries.newest_by_target(session, scan_id)
    spans = {(row.start, row.end) for row in rows}
    sentences: dict[tuple[int, int, str], _Sentence] = {}
    text_by_span: dict[tuple[int, int], str] = {}
    text_by_n: dict[int, str] = {}
    for f in queries.findings_at_spans(session, scan_id, spans):
        start, end = f.start or 0, f.end or 0
        text_by_span[start, end] = text_by_n[f.n] = f.context
        sentences.setdefault((start, end, f.context), _Sentence(f.context)).findings.append(f)
    for row in rows:
        # Only missed risks carry a sentence; two users may quote the same span differently.
        text = row.context or text_by_n.get(row.n, text_by_span.get((row.start, row.end)))
        if text is None:  # possible, since feedback has no foreign key to findings
            _log.warning("feedback %s on scan %s left out: its finding is gone", row.id, scan_id)
            continue
        sentences.setdefault((row.start, row.end, text), _Sentence(text)).rows.append(row)
    return [sentence for _, sentence in sorted(sentences.items(), key=lambda item: item[0])]


def _has_all_types(sentence: _Sentence) -> bool:
    """Return whether each foreign title was relabelled; otherwise the labels would be incomplete."""
    foreign = [finding.n for finding in sentence.findings if finding.risk_type is None]
    verdicts = {n: [as_review(row) for row in sentence.current() if row.n == n] for n in foreign}
    return all(settle(reviews, original=()).risk_types for reviews in verdicts.values())


def _is_due(sentence: _Sentence, since: datetime | None) -> bool:
    return since is None or any(row.created_at >= since for row in sentence.rows)


def _settled(sentence: _Sentence) -> Settled:
    verdicts: dict[int, list[Review]] = {finding.n: [] for finding in sentence.findings}
    for row in sentence.current():
        verdicts.setdefault(row.n, []).append(as_review(row))
    types = {f.n: [f.risk_type] for f in sentence.findings if f.risk_type}
    parts = [settle(reviews, original=types.get(n, [])) for n, reviews in verdicts.items()]
    return settle_sentence(parts)


def _record(
    session: Session, counts: Counter[Status], since: datetime | None, *, actor: Actor
) -> None:
    sentences = {status.name.lower(): n for status, n in sorted(counts.items())}
    record(
        session,
        event(
            Action.FEEDBACK_EXPORTED,
            actor=actor,
            object_type="feedback",
            detail={"sentences": sentences, "since": since.isoformat() if since else None},
        ),
    )


def _is_regular(path: Path) -> bool:
    return path.is_file() or not path.exists()


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    """Yield a draft beside `path`, readable by its owner only; it replaces `path` if the block succeeds."""
    path = path.resolve()  # replaces the file behind a link such as /dev/stdout, not the link
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        with os.fdopen(number, "w", encoding="ascii") as file:
            yield file
            file.flush()
            os.fsync(number)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
