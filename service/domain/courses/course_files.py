"""Use cases of a course's files: add, list, download and delete.

The bytes are in the database, so that all replicas have them and a backup contains them. Their beginning
decides their type, whatever their name and the client say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from db.error_codes import is_duplicate
from db.queries import courses as queries
from db.tables import CourseFile, User
from service.domain.audit import Action
from service.domain.courses.courses import lock_course, record_part, visible_course
from service.domain.transactions import Transactions
from service.errors import Conflict, Fault, InvalidRequest, NotFound, TooLarge, UnsupportedMediaType

MAX_FILE_BYTES = 5 * 2**20
"""Below MariaDB's default limit of a packet, 16 MiB, also if each byte is escaped."""
MAX_FILES = 50
"""Most files of a course."""
PIECE_BYTES = 2**18
_OFFICE = "application/vnd.openxmlformats-officedocument"
_TYPES = {
    "png": ("image/png", b"\x89PNG\r\n\x1a\n"),
    "jpg": ("image/jpeg", b"\xff\xd8\xff"),
    "jpeg": ("image/jpeg", b"\xff\xd8\xff"),
    "gif": ("image/gif", b"GIF8"),
    "webp": ("image/webp", b"RIFF"),
    "pdf": ("application/pdf", b"%PDF-"),
    "docx": (f"{_OFFICE}.wordprocessingml.document", b"PK\x03\x04"),
    "xlsx": (f"{_OFFICE}.spreadsheetml.sheet", b"PK\x03\x04"),
    "pptx": (f"{_OFFICE}.presentationml.presentation", b"PK\x03\x04"),
    "txt": ("text/plain; charset=utf-8", b""),
    "csv": ("text/csv; charset=utf-8", b""),
}
"""Media type and first bytes by the ending of the name. No SVG and no HTML: both run scripts."""
MEDIA_TYPES = tuple(
    dict.fromkeys(media_type.partition(";")[0] for media_type, _ in _TYPES.values())
)


@dataclass(frozen=True, slots=True)
class _Received:
    """A file as it came, checked."""

    name: str
    media_type: str
    data: bytes


class CourseFiles:
    """Uploads of files into courses."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def add(
        self, user: User, course_id: UUID, name: str, read: Callable[[int], bytes]
    ) -> CourseFile:
        """Store a file in a course; `read` returns at most so many of its bytes, and none at the end.

        Raises:
            NotFound: there is no such course.
            TooLarge: the file has more than MAX_FILE_BYTES, or the course MAX_FILES files.
            UnsupportedMediaType: its name or its first bytes are of no type that courses take.
            Conflict: the course has a file of this name.
        """
        received = _receive(name, read)
        try:
            return self._transactions.run(_add, user, course_id, received)
        except IntegrityError as error:
            if is_duplicate(error):
                raise Conflict("The course has a file of this name; delete it first.") from error
            raise


def list_files(session: Session, user: User, course_id: UUID) -> Sequence[CourseFile]:
    """Return the files of a course that the user may see, by name; NotFound for other courses."""
    visible_course(session, user, course_id)
    return queries.list_files(session, course_id)


def read_file(
    session: Session, user: User, course_id: UUID, file_id: UUID
) -> tuple[CourseFile, bytes]:
    """Return a file and its bytes; NotFound unless the user may see its course."""
    visible_course(session, user, course_id)
    file = _require(session, course_id, file_id)
    return file, queries.read_file(session, file_id)


def delete_file(session: Session, user: User, course_id: UUID, file_id: UUID) -> None:
    """Delete a file; NotFound if there is none."""
    lock_course(session, course_id)
    file = _require(session, course_id, file_id)
    record_part(session, Action.COURSE_FILE_DELETED, file, "course_file", user)
    session.expunge(file)
    queries.delete_file(session, file_id)


def _receive(name: str, read: Callable[[int], bytes]) -> _Received:
    ending = name.rpartition(".")[2].lower()
    if ending not in _TYPES:
        raise UnsupportedMediaType(f"Courses take files of these types: {', '.join(_TYPES)}.")
    # A character of a link's address in Markdown; a name with one could not be referred to.
    if any(c in "<>()\\" for c in name):
        message = (
            "Rename the file without brackets and backslashes, which Markdown gives a meaning."
        )
        raise InvalidRequest(message, faults=(Fault("file", message),))
    data = bytearray()
    while block := read(PIECE_BYTES):
        data += block
        if len(data) > MAX_FILE_BYTES:
            raise TooLarge(f"A file of a course has at most {MAX_FILE_BYTES:,} bytes.")
    media_type, beginning = _TYPES[ending]
    if not data.startswith(beginning):
        raise UnsupportedMediaType(f"The content of the file is not of the type {ending}.")
    return _Received(name, media_type, bytes(data))


def _add(session: Session, user: User, course_id: UUID, received: _Received) -> CourseFile:
    lock_course(session, course_id)
    if len(queries.list_files(session, course_id)) >= MAX_FILES:
        raise TooLarge(f"A course has at most {MAX_FILES} files.")
    data = received.data
    file = CourseFile(
        id=uuid_utils.compat.uuid7(),
        course_id=course_id,
        name=received.name,
        media_type=received.media_type,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        created_at=datetime.now(UTC),
    )
    starts = range(0, len(data), PIECE_BYTES)
    queries.add_file(session, file, [data[start : start + PIECE_BYTES] for start in starts])
    record_part(
        session,
        Action.COURSE_FILE_ADDED,
        file,
        "course_file",
        user,
        size_bytes=file.size_bytes,
    )
    return file


def _require(session: Session, course_id: UUID, file_id: UUID) -> CourseFile:
    file = queries.get_file(session, course_id, file_id)
    if file is None:
        raise NotFound("The course has no file with this id.")
    return file
