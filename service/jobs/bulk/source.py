"""Chooses the kind of SOURCE. Imports no Ray."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from service.config.settings import Config
from service.errors import InvalidRequest
from service.jobs.bulk.database_source import DatabaseSource
from service.jobs.bulk.documents import SourceDocument
from service.jobs.bulk.folder_source import FolderSource
from service.jobs.bulk.jsonl_source import JSONL_ENDINGS, JsonlSource
from service.jobs.bulk.parquet_source import PARQUET_ENDINGS, ParquetSource

SourceKind = Literal["auto", "folder", "jsonl", "parquet", "database"]


class Source(Protocol):
    """Where documents come from. A source is a plain value: another process reads it."""

    def check(self) -> None:
        """Raise InvalidRequest, with the remedy, if the source cannot be read."""

    def documents(self) -> Iterator[SourceDocument]:
        """Yield the documents, in the same order each time."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What the command line says about SOURCE. `query` is for databases, the columns for all but folders."""

    kind: SourceKind = "auto"
    id_column: str = "id"
    text_column: str = "text"
    query: str | None = None


def open_source(name: str, options: SourceOptions, config: Config) -> Source:
    """Return the source `name`: a folder, a file of JSON lines or Parquet, or the address of a database.

    For the kinds jsonl and parquet a folder stands for all such files in it and below.

    Raises:
        InvalidRequest: it cannot be read; the message names the remedy.
    """
    source = _source(name, options, config)
    source.check()
    return source


def _source(name: str, options: SourceOptions, config: Config) -> Source:
    path, columns = Path(name), (options.id_column, options.text_column)
    max_bytes = config.max_file_bytes
    kind = _detected(name) if options.kind == "auto" else options.kind
    if (kind == "database") != (options.query is not None):
        raise InvalidRequest(
            "A database as SOURCE needs --query, and nothing else takes it: SOURCE reads like "
            "postgresql://user:password@host/database, --query like 'SELECT id, text FROM documents'."
        )
    if kind == "database":
        return DatabaseSource(name, options.query or "", *columns, max_bytes)
    if kind == "folder":
        return FolderSource(path, max_bytes)
    if kind == "parquet":
        return ParquetSource(_files(path, PARQUET_ENDINGS), *columns, max_bytes)
    return JsonlSource(_files(path, JSONL_ENDINGS), *columns, max_bytes, config.max_text_chars)


def _detected(name: str) -> SourceKind:
    """Return the kind that the form of SOURCE suggests."""
    if "://" in name:
        return "database"
    if name.lower().endswith(PARQUET_ENDINGS):
        return "parquet"
    if name.lower().endswith(JSONL_ENDINGS):
        return "jsonl"
    if Path(name).is_dir():
        return "folder"
    raise InvalidRequest(
        f"SOURCE {name} is neither a folder nor a .jsonl or .parquet file nor the address of a database. "
        "Correct the path, or say with --from what it is."
    )


def _files(path: Path, endings: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the file, or the files of a folder with one of `endings`, by name; Spark's _SUCCESS is none."""
    if not path.is_dir():
        return (path,)
    files = (
        p for p in path.rglob("*") if p.name.lower().endswith(endings) and p.name[0] not in "._"
    )
    found = tuple(sorted(file for file in files if file.is_file()))
    if not found:
        raise InvalidRequest(f"SOURCE {path} has no file that ends in {' or '.join(endings)}.")
    return found
