"""Writes a ZIP archive as a stream of bytes, without a temporary file; it ends with a manifest."""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import Iterable, Iterator
from typing import IO, cast

from service.config.cpus import all_cpus

MANIFEST = "manifest.json"
Entry = tuple[str, Iterable[bytes] | None]
"""The name of a file in the archive and its bytes, block by block; None if they cannot be read."""


class _Sink:
    """The end of an archive that was not sent yet. Without `seek`, zipfile writes sizes after the bytes."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []

    def write(self, block: bytes) -> int:
        self._blocks.append(bytes(block))
        return len(block)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        blocks, self._blocks = self._blocks, []
        return b"".join(blocks)


def zip_stream(entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield the bytes of an archive of `entries` and a manifest with the size and SHA-256 of each.

    An archive that was cut off has no manifest and no directory, so no program opens it without an error.
    """
    sink = _Sink()
    files: list[dict[str, object]] = []
    missing: list[str] = []
    with zipfile.ZipFile(cast("IO[bytes]", sink), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, blocks in entries:
            if blocks is None:
                missing.append(name)
                continue
            digest, size_bytes = hashlib.sha256(), 0
            with archive.open(_info(name), "w", force_zip64=True) as file:
                for block in blocks:
                    with all_cpus():
                        file.write(block)
                        digest.update(block)
                    size_bytes += len(block)
                    yield sink.take()
            files.append({"name": name, "bytes": size_bytes, "sha256": digest.hexdigest()})
        manifest = {"files": files, "missing": missing}
        archive.writestr(_info(MANIFEST), json.dumps(manifest, indent=1))
    yield sink.take()


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, time.gmtime()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info
