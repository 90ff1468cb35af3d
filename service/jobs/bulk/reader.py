"""Reads a source block by block, without the documents that the sink has already. Imports no Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from service.jobs.bulk.digest_set import DigestSet
from service.jobs.bulk.documents import SourceDocument, digest
from service.jobs.bulk.source import Source

BLOCK_BYTES = 64 * 1024
"""A block of short documents has about so many bytes: 1,000 sentences, some seconds of a core. A longer
document is a block of its own."""
_BLOCK_DOCUMENTS = 256


@dataclass(frozen=True, slots=True)
class BlockReader:
    """Yields each document of a source once; `written` returns the digests of those of earlier runs.

    Ray may read again, after the loss of a process or of blocks, and takes up where it was: each call must
    yield the same blocks, so `written` must not change during a run.

    `limit` counts documents of the source, also those that are left out.
    """

    source: Source
    written: Callable[[], Iterable[bytes]]
    limit: int | None = None

    def blocks(self) -> Iterator[list[SourceDocument]]:
        """Yield the documents that remain, in blocks of limited bytes."""
        known = DigestSet(self.written())
        block: list[SourceDocument] = []
        n_bytes = 0
        for document in islice(self.source.documents(), self.limit):
            if not known.add(digest(document.id, document.sha256)):
                continue
            size = len(document.content)
            if block and (n_bytes + size > BLOCK_BYTES or len(block) == _BLOCK_DOCUMENTS):
                yield block
                block, n_bytes = [], 0
            block.append(document)
            n_bytes += size
        if block:
            yield block
