"""Reads zips: Office documents by their own reader, any other archive file by file.

Nothing is written to disk; the path of a file in an archive is a name only. Read: every file in a supported
format, archives and e-mails within the archive included. Not read: encrypted files, links, and what other
programs leave behind (__MACOSX, .DS_Store, Thumbs.db).
"""

from __future__ import annotations

import io
import lzma
import re
import stat
import zipfile
import zlib

from service.errors import TooLarge, UnreadableDocument
from service.nlp.extraction.media_types import BY_EXTENSION
from service.nlp.extraction.members import add_member, read_file
from service.nlp.extraction.sandbox_worker import load_reader
from service.nlp.extraction.text_builder import MAX_NAME_CHARS, TextBuilder

MAX_FILES = 1_000
MAX_MEMBER_BYTES = 67_108_864
MAX_RATIO = 200
"""A larger file that inflates to more than this many times its size is not read; text reaches about 20."""
_FREE_BYTES = 1_048_576  # of a file, for which the ratio does not count
_CHUNK_BYTES = 262_144
_ENTRY_MARK = b"PK\x01\x02"
_OFFICE = {"word/": "docx", "xl/": "xlsx", "ppt/": "pptx"}
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_DRIVE = re.compile(r"[A-Za-z]:")
_LEFT_BEHIND = re.compile(r"(?:.*/)?(?:__MACOSX/.*|\.DS_Store|Thumbs\.db)", re.DOTALL)
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


def read_zip_family(data: bytes, builder: TextBuilder, *, declared: str, max_pages: int) -> None:
    """Add a zip of any kind; `declared` is the format to read if the content does not tell.

    Raises:
        TooLarge, UnreadableDocument: as the reader of its format does.
    """
    kind = _kind(data, declared)
    if kind == "zip":
        read_zip(data, builder, max_pages=max_pages)
    else:
        load_reader(BY_EXTENSION[kind].reader)(data, builder)


def read_zip(data: bytes, builder: TextBuilder, *, max_pages: int) -> None:
    """Add the files of an archive, each as a part, in the order of the archive.

    Raises:
        TooLarge: the archive has more than MAX_FILES files, or the whole document exceeds a limit.
        UnreadableDocument: the archive is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [e for e in archive.infolist() if not _is_left_out(e)]
            if len(entries) > MAX_FILES:
                raise _too_many()
            for entry in entries:
                _add(archive, entry, builder, max_pages)
    except _BROKEN as error:
        raise _damaged() from error


def _kind(data: bytes, declared: str) -> str:
    if data.count(_ENTRY_MARK) > 10 * MAX_FILES:  # the list alone would take too much memory
        raise _too_many()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [name.replace("\\", "/").casefold() for name in archive.namelist()]
    except _BROKEN as error:
        if declared != "zip":
            return declared  # whose reader says what is wrong
        raise _damaged() from error
    if "mimetype" in names and "meta-inf/manifest.xml" in names:
        raise UnreadableDocument(
            "OpenDocument files and books are not read. Save it as .docx, .xlsx, .pptx or .pdf."
        )
    if "[content_types].xml" in names:
        for folder, kind in _OFFICE.items():
            if any(name.startswith(folder) for name in names):
                return kind
    return declared


def _is_left_out(entry: zipfile.ZipInfo) -> bool:
    return entry.is_dir() or _LEFT_BEHIND.fullmatch(entry.filename) is not None


def _add(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, builder: TextBuilder, max_pages: int
) -> None:
    name = _shown_name(entry.filename)

    def read() -> None:
        try:
            data = _inflate(archive, entry, builder)
        except MemoryError as error:  # a few bytes can ask for a dictionary of 4 GiB
            raise TooLarge("It needs too much memory to inflate. Pack it again.") from error
        read_file(data, name, builder, max_pages=max_pages)

    add_member(name, builder, read)


def _inflate(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, builder: TextBuilder) -> bytes:
    if entry.flag_bits & 1:
        raise UnreadableDocument("It is encrypted. Remove the password and send it again.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise UnreadableDocument("It is a link to another file.")
    if entry.compress_type not in _METHODS:
        raise UnreadableDocument("It is compressed by an unusual method. Pack it again.")
    limit = max(_FREE_BYTES, MAX_RATIO * entry.compress_size)
    data = bytearray()
    with archive.open(entry) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            builder.inflation.take(len(chunk))
            data += chunk
            if len(data) > limit:
                raise TooLarge(f"It inflates to more than {MAX_RATIO} times its size, the limit.")
            if len(data) > MAX_MEMBER_BYTES:
                raise TooLarge(f"It has more than {MAX_MEMBER_BYTES:,} bytes, the limit in a zip.")
    return bytes(data)


def _shown_name(path: str) -> str:
    """Return a path without what would lead out of a folder; a long one keeps its end."""
    steps = _DRIVE.sub("", path.replace("\\", "/"), count=1).split("/")
    name = "/".join(step for step in steps if step not in {"", ".", ".."})
    return name if len(name) <= MAX_NAME_CHARS else "\u2026" + name[1 - MAX_NAME_CHARS :]


def _too_many() -> TooLarge:
    return TooLarge(
        f"The zip archive holds more than {MAX_FILES:,} files, the limit. Send it in parts."
    )


def _damaged() -> UnreadableDocument:
    return UnreadableDocument("The zip archive is damaged. Pack it again and send the new file.")
