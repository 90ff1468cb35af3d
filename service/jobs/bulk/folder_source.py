"""SOURCE is a folder: every file in it and below, in the order of the names. Imports no Ray."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from service.errors import InvalidRequest
from service.jobs.bulk.documents import SourceDocument, encodable, file_document


@dataclass(frozen=True, slots=True)
class FolderSource:
    """The id of a document is its path in the folder. Hidden files and links to folders are left out."""

    folder: Path
    max_bytes: int

    def check(self) -> None:
        """Raise InvalidRequest if the folder cannot be listed."""
        try:
            os.scandir(self.folder).close()
        except OSError as error:
            raise InvalidRequest(
                f"SOURCE {self.folder} cannot be listed: {error.strerror}."
            ) from error

    def documents(self) -> Iterator[SourceDocument]:
        """Yield the documents. The first walk counts the files, so that `share` is known."""
        n_files = sum(1 for _ in files_below(self.folder))
        for n, path in enumerate(files_below(self.folder), start=1):
            document_id = encodable(path.relative_to(self.folder).as_posix())
            yield file_document(document_id, path, max_bytes=self.max_bytes, share=n / n_files)


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the regular files in a folder and below, in the order of the names; holds one folder at a time.

    A folder that cannot be listed is yielded itself: reading it fails and reports it.
    """
    waiting = [(folder, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if not is_folder:
            yield path
            continue
        try:
            children = _children(path)
        except OSError:
            yield path
        else:
            waiting += sorted(children, reverse=True)


def _children(folder: Path) -> list[tuple[Path, bool]]:
    """Return the files and folders in a folder, and whether each is a folder."""
    with os.scandir(folder) as entries:
        return [
            (Path(entry.path), is_folder)
            for entry in entries
            if not entry.name.startswith(".")
            and ((is_folder := entry.is_dir(follow_symlinks=False)) or entry.is_file())
        ]
