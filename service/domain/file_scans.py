"""Scans of stored files: one, or all of a work session within one deadline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Session

from db.tables import File, Scan
from service.domain.files.files import Files, set_pages
from service.domain.idempotency_keys import key_of_file
from service.domain.scans.options import ScanOptions
from service.domain.scans.scans import Scans, StoredScan
from service.domain.scans.storage import Also
from service.errors import AnalyzerTimeout, RiskscanError, TooLarge, Unauthenticated
from service.nlp.deadline import Deadline
from service.nlp.pipeline import Submission


class FileStatus(StrEnum):
    """The outcome for one file when a work session is scanned."""

    SCANNED = "scanned"
    FAILED = "failed"
    NOT_DONE = "not_done"
    """The deadline passed first."""


@dataclass(frozen=True, slots=True)
class FileScan:
    """The result for one file: a scan, an error, or neither if it was not done."""

    file: File
    status: FileStatus
    stored: StoredScan | None = None
    error: RiskscanError | None = None
    is_repeat: bool = False
    """An earlier request with the same idempotency key stored the scan."""


class FileScans:
    """Scans stored files, and stores with each scan how many pages the file has."""

    def __init__(
        self, files: Files, scans: Callable[[], Scans], *, max_bytes: int, timeout_s: float
    ) -> None:
        """`scans` is called at the first scan; `max_bytes` is the limit of a scanned file."""
        self._files = files
        self._scans = scans
        self._max_bytes = max_bytes
        self._timeout_s = timeout_s

    def scan(
        self,
        file: File,
        options: ScanOptions,
        *,
        key: str | None = None,
        version_of: UUID | None = None,
        deadline: Deadline | None = None,
        also: Also | None = None,
    ) -> StoredScan:
        """Scan a stored file and store the result, as the next version of a document if it is given.

        `also` is that of Scans.create.

        Raises:
            TooLarge: the file is larger than a scan reads.
            StorageUnavailable: the bytes are missing or cannot be read; and whatever Scans.create raises.
        """

        def store_pages(session: Session, scan: Scan) -> None:
            set_pages(session, file, scan.coverage.get("pages"))
            if also is not None:
                also(session, scan)

        return self._scans().create(
            file.user_id,
            self._submission(file, options),
            key=key,
            version_of=version_of,
            deadline=deadline,
            preferences=options.preferences,
            also=store_pages,
        )

    def scan_all(
        self,
        files: Sequence[File],
        options: ScanOptions,
        *,
        key: str | None = None,
        admit: Callable[[], None],
    ) -> list[FileScan]:
        """Scan files in this order until the deadline of one scan; return a result for each.

        With an idempotency `key`, a file that an earlier request with this key scanned keeps its scan.
        `admit` is called before each other file, and may raise to refuse it.

        Raises:
            Unauthenticated: the account was deleted meanwhile.
            Conflict: the key was used for a batch.
        """
        if key is not None and files:
            self._scans().check_key(files[0].user_id, key)
        deadline = Deadline.after(self._timeout_s)
        results: list[FileScan] = []
        for file in files:
            if deadline.remaining_s() == 0:
                results.append(FileScan(file, FileStatus.NOT_DONE))
            else:
                part = None if key is None else key_of_file(key, file)
                is_first = all(result.is_repeat for result in results)
                results.append(
                    self._scan_one(file, options, part, deadline, admit, is_first=is_first)
                )
        return results

    def _scan_one(
        self,
        file: File,
        options: ScanOptions,
        key: str | None,
        deadline: Deadline,
        admit: Callable[[], None],
        *,
        is_first: bool,
    ) -> FileScan:
        try:
            is_repeat = key is not None and self._scans().has_key(file.user_id, key)
            if not is_repeat:
                admit()
            stored = self.scan(file, options, key=key, deadline=deadline)
        except Unauthenticated:
            raise
        except AnalyzerTimeout as error:
            # The first file had all the time there is, so another request would not help.
            failed = FileScan(file, FileStatus.FAILED, error=error)
            return failed if is_first else FileScan(file, FileStatus.NOT_DONE)
        except RiskscanError as error:
            return FileScan(file, FileStatus.FAILED, error=error)
        return FileScan(file, FileStatus.SCANNED, stored, is_repeat=is_repeat)

    def _submission(self, file: File, options: ScanOptions) -> Submission:
        if file.size_bytes > self._max_bytes:
            raise TooLarge(
                f"The file has {file.size_bytes:,} bytes; a scan reads at most {self._max_bytes:,} "
                "(MAX_FILE_BYTES)."
            )
        with self._files.open(file) as stream:
            return options.file_submission(file, stream.read())
