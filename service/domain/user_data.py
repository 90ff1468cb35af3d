"""Use case of exporting everything about one user, as a ZIP archive that is streamed.

Rows are read in pages, texts and files in blocks, so the memory it needs does not grow with the account.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from db.queries import user_data as queries
from db.queries.documents import list_piece_starts, list_text
from db.queries.user_data import Row, Rows
from service.domain import report_logs
from service.domain.audit import Action, Actor, event, record
from service.domain.batch_bytes import BatchBytes
from service.domain.files.file_store import BLOCK_BYTES
from service.domain.files.files import Files
from service.domain.files.user_stores import UserStores
from service.domain.originals import Originals
from service.domain.report_logs import Chunk, Export, Kind, Report, ReportLogs
from service.domain.transactions import Transactions
from service.domain.zip_stream import Entry, zip_stream
from service.errors import NotFound, StorageUnavailable

ROWS_AT_ONCE = 200
SCANS_AT_ONCE = 20
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}\Z")
_README = """\
Everything that this Riskscan stores about the account {email}, as of {now}.

A .jsonl file has one JSON object on each line. Times are in UTC.

account.json          address, role, times of creation and change
settings.json         the account's settings; without the file, it has the defaults
logins.jsonl          log-ins, with the address of the client
identities.jsonl      identities at the single sign-on provider: issuer, subject, time
api_keys.jsonl        API keys: name, scopes, times; never the keys
sessions.jsonl        work sessions
files.jsonl           the files in them; files/<id> has the bytes of each
documents.jsonl       scanned documents; documents/<id>.txt has the text, documents/<id>-original the
                      uploaded file, as far as they are stored
scans.jsonl           scans, each with its findings
batches.jsonl         batches of documents
batch_items.jsonl     the documents in them; batches/<id> has the bytes of each that waits or failed
feedback.jsonl        verdicts, reports of missed risks and comments that the account gave
webhooks.jsonl        addresses that get events; never their secrets
enrolments.jsonl      courses that the account takes or took
lesson_progress.jsonl lessons that it did, and its last answers to their quizzes
risks.jsonl           risks of the register that the account created or owns
risk_findings.jsonl   findings by which it supported risks; risk_notes.jsonl, its notes on risks
risk_changes.jsonl    its changes of risks
teams.jsonl           teams of which the account is a member
audit_events.jsonl    what the account did, and what was done to it
exports.jsonl         exports of data that the account made
outgoing_calls.jsonl  calls to other servers during these scans, without content
llm_usage.jsonl       tokens sent to and received from the LLM, by day
manifest.json         bytes and SHA-256 of each of these files; `missing` lists those that could not be read

An archive without manifest.json was cut off: download it again.
"""


class UserData:
    """Exports the data of users."""

    def __init__(
        self,
        transactions: Transactions,
        files: Files,
        originals: Originals,
        batch_bytes: BatchBytes,
        logs: ReportLogs,
    ) -> None:
        self._transactions = transactions
        self._batch_bytes = batch_bytes
        self._files = files
        self._originals = originals
        self._logs = logs

    def export(self, user_id: UUID, *, actor: Actor) -> Export:
        """Record the export, and return the bytes of the archive, which are read as they are sent.

        Raises:
            NotFound: no account has the id.
            DatabaseUnavailable: also while the bytes are read; the archive is incomplete then.
        """
        account = self._transactions.read(queries.get_row, queries.ACCOUNT, user_id)
        if account is None:
            raise NotFound("No account has this id; GET /api/v1/users lists all.")
        exported = event(Action.DATA_EXPORTED, actor=actor, object_type="user", object_id=user_id)
        report = Report(Kind.USER_DATA, "zip", actor, {"user_id": str(user_id)})

        def begin(session: Session) -> UUID:
            record(session, exported)
            return report_logs.begin(session, report)

        report_id, tally = self._transactions.run(begin), _Tally()
        entries = self._entries(user_id, account, tally)
        return self._logs.follow(report_id, tally.counted(zip_stream(entries)))

    def write_file(self, user_id: UUID, path: Path, *, actor: Actor) -> None:
        """Write the archive to a file of mode 0600, which appears whole or not at all; see `export`."""
        blocks = self.export(user_id, actor=actor)
        number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        draft = Path(name)
        try:
            with os.fdopen(number, "wb") as file, contextlib.closing(blocks):
                file.writelines(blocks)
                file.flush()
                os.fsync(number)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def _entries(self, user_id: UUID, account: Row, tally: _Tally) -> Iterator[Entry]:
        lines = tally.lines
        now = datetime.now(UTC)
        yield "README.txt", [_README.format(email=account["email"], now=f"{now:%F %T}").encode()]
        yield "account.json", lines([[account]])
        settings = self._transactions.read(queries.get_row, queries.SETTINGS, user_id)
        if settings is not None:
            yield "settings.json", lines([[settings]])
        for name, rows in queries.LISTED.items():
            yield f"{name}.jsonl", lines(self._pages(rows, user_id))
        usage = self._transactions.read(queries.list_llm_usage, user_id)
        yield "llm_usage.jsonl", lines([usage])
        yield "sessions.jsonl", lines(self._pages(queries.SESSIONS, user_id))
        yield "scans.jsonl", lines(self._scans(user_id))
        yield "files.jsonl", lines(self._pages(queries.FILES, user_id))
        for row in self._rows(queries.FILES, user_id):
            name = f"files/{row['id']}{_extension(row['name'])}"
            yield name, _stored(self._files, user_id, row["sha256"])
        yield "batch_items.jsonl", lines(self._pages(queries.BATCH_ITEMS, user_id))
        for row in self._rows(queries.BATCH_ITEMS, user_id):
            if row["sha256"]:
                name = f"batches/{row['id']}{_extension(row['name'])}"
                yield name, _stored(self._batch_bytes, user_id, row["sha256"])
        yield "documents.jsonl", lines(self._pages(queries.DOCUMENTS, user_id))
        for row in self._rows(queries.DOCUMENTS, user_id):
            yield from self._document(user_id, row)

    def _document(self, user_id: UUID, row: Row) -> Iterator[Entry]:
        name = f"documents/{row['id']}"
        if row["text_stored"] == "full":
            yield f"{name}.txt", self._text(row["id"])
        if row["original_sha256"]:
            original = _stored(self._originals, user_id, row["original_sha256"])
            yield f"{name}-original{_extension(row['name'])}", original

    def _text(self, document_id: UUID) -> Iterator[bytes]:
        read = self._transactions.read
        for start in read(list_piece_starts, document_id):
            for piece in read(list_text, document_id, start=start, end=start + 1):
                yield piece.text.encode()

    def _scans(self, user_id: UUID) -> Iterator[Sequence[Row]]:
        def load(after: Row | None) -> Sequence[Row]:
            return self._transactions.read(
                queries.list_scans_with_findings, user_id, after=after, limit=SCANS_AT_ONCE
            )

        return _pages(load)

    def _pages(self, rows: Rows, user_id: UUID) -> Iterator[Sequence[Row]]:
        def load(after: Row | None) -> Sequence[Row]:
            return self._transactions.read(
                queries.list_rows, rows, user_id, after=after, limit=ROWS_AT_ONCE
            )

        return _pages(load)

    def _rows(self, rows: Rows, user_id: UUID) -> Iterator[Row]:
        for page in self._pages(rows, user_id):
            yield from page


class _Tally:
    """Counts the rows of an archive while it is written."""

    def __init__(self) -> None:
        self._n_rows = 0

    def lines(self, pages: Iterable[Sequence[Row]]) -> Iterator[bytes]:
        for page in pages:
            for row in page:
                self._n_rows += 1
                yield _line(row)

    def counted(self, blocks: Iterator[bytes]) -> Iterator[Chunk]:
        n_seen = 0
        for block in blocks:
            yield self._n_rows - n_seen, block
            n_seen = self._n_rows


def _pages(load: Callable[[Row | None], Sequence[Row]]) -> Iterator[Sequence[Row]]:
    after = None
    while page := load(after):
        after = page[-1]
        yield page


def _stored(stores: UserStores, user_id: UUID, sha256: str) -> Iterator[bytes] | None:
    """Return stored bytes in blocks; None if they are missing, or were deleted meanwhile."""
    try:
        file = stores.store(user_id).open(sha256)
    except StorageUnavailable:
        return None

    def blocks() -> Iterator[bytes]:
        with file:
            while block := file.read(BLOCK_BYTES):
                yield block

    return blocks()


def _line(row: Row) -> bytes:
    return f"{json.dumps(row, ensure_ascii=False, default=_json_value)}\n".encode()


def _json_value(value: Any) -> str:  # noqa: ANN401 - as json passes it
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _extension(name: str | None) -> str:
    found = _EXTENSION.search(name or "")
    return found.group().lower() if found else ""
