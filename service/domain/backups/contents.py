"""What an archive says about itself: a header at its begin, and a manifest at its end.

    header.json                      versions, time, tables with their columns
    f/<user>/<sha256>                files of work sessions
    o/<user>/<sha256>                originals of documents
    b/<user>/<sha256>                documents of batches that wait or failed
    tables/<name>/<number>.jsonl     rows, one JSON array a line, in the order of the header's columns
    manifest.json                    digests and numbers of all before; without it the archive is cut off

A member's name has at most 100 bytes, so that it fits into a plain tar header.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from db.portable_rows import Kind as ColumnKind

FORMAT = 1
Kind = Literal["f", "o", "b"]
"""Files of work sessions, originals of documents, or documents of batches."""
HEADER, MANIFEST = "header.json", "manifest.json"
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Header(_Part):
    """What a restore must know first. `key_check` shows whether SECRET_KEY is the same."""

    format: int
    product_version: str
    revision: str
    created_at: datetime
    key_check: str
    tables: dict[Name, dict[Name, ColumnKind]]


class TableSum(_Part):
    """The number of a table's rows, and the sha256 of all its lines."""

    rows: Annotated[int, Field(ge=0)]
    sha256: Sha256


class FileSum(_Part):
    """The number and bytes of archived files of one kind, and how many were missing on disk."""

    n: Annotated[int, Field(ge=0)] = 0
    size_bytes: Annotated[int, Field(ge=0)] = 0
    n_missing: Annotated[int, Field(ge=0)] = 0


class Manifest(_Part):
    """What a complete archive contains. `damaged` names members whose bytes had changed on disk."""

    header_sha256: Sha256
    tables: dict[Name, TableSum]
    files: dict[Kind, FileSum]
    damaged: frozenset[str] = frozenset()


def key_check(secret_key: str, created_at: datetime) -> str:
    """Return a value by which a restore recognises the same SECRET_KEY; it does not reveal the key."""
    message = f"riskscan backup {created_at.isoformat()}".encode()
    return hmac.new(secret_key.encode(), message, hashlib.sha256).hexdigest()
