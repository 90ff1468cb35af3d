"""A document of a source, and the digest by which a bulk scan recognizes it. Imports no Ray."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from service.errors import RiskscanError, TooLarge, UnreadableDocument


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a document was not scanned: an error code of docs/errors.md, and a message without its text."""

    code: str
    message: str

    @classmethod
    def of(cls, error: RiskscanError) -> Problem:
        """Return the problem that an error of the service states."""
        return cls(error.code, error.message)


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """A document as its source has it: UTF-8 text, or the bytes of a file.

    `share` is how much of the source was read once this document was, in [0, 1]. A document with a `problem`
    has no content.
    """

    id: str
    content: bytes = b""
    is_text: bool = False
    name: str | None = None
    share: float = 0.0
    problem: Problem | None = None

    @property
    def sha256(self) -> str | None:
        """The SHA-256 (hex) of the content; None if it could not be read."""
        return None if self.problem else hashlib.sha256(self.content).hexdigest()


def digest(document_id: str, sha256: str | None) -> bytes:
    """Return 16 bytes that identify a document: two with the same id and the same content are the same."""
    key = f"{document_id}\0{sha256 or ''}"
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


def encodable(text: str) -> str:
    """Return `text` with its lone surrogates, which a file name that is not UTF-8 has, spelled out."""
    return text.encode("utf-8", "backslashreplace").decode()


def text_document(document_id: str, text: str, *, share: float) -> SourceDocument:
    """Return the document of a text; its id serves as its name."""
    content = text.encode("utf-8", "surrogatepass")
    return SourceDocument(document_id, content, is_text=True, name=document_id, share=share)


def file_document(document_id: str, path: Path, *, max_bytes: int, share: float) -> SourceDocument:
    """Return the document of a file; one with a problem if it is too large or cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        return bad_document(
            document_id, UnreadableDocument(f"The file cannot be read: {error.strerror}."), share
        )
    if len(data) > max_bytes:
        return bad_document(
            document_id,
            TooLarge(
                f"The file has more than {max_bytes:,} bytes. Split it, or raise MAX_FILE_BYTES."
            ),
            share,
        )
    return SourceDocument(document_id, data, name=encodable(path.name), share=share)


def bad_document(document_id: str, error: RiskscanError, share: float) -> SourceDocument:
    """Return the document that could not be read from its source."""
    return SourceDocument(document_id, share=share, problem=Problem.of(error))
