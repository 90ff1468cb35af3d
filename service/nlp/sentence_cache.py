"""What the network said of a sentence the last time: documents are scanned again after small edits.

Belongs to one loaded model, so that the sentence alone is the key. Keeps digests, never text.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from cachetools import LRUCache

Floats = npt.NDArray[np.float32]

_SPACE = re.compile(
    r"[ \t\r\n]+"
)  # runs of these are one to the tokenizer; other white space is not
_DIGEST_BYTES = 16


class SentenceCache:
    """The outputs of the sentences read last, at most `max_sentences`; of none where that is 0.

    Any thread may call it. A sentence takes about 0.7 kB.
    """

    def __init__(self, max_sentences: int) -> None:
        self._lock = threading.Lock()
        self._rows: LRUCache[bytes, Floats] = LRUCache(max_sentences)

    def known(self, sentences: Sequence[str]) -> list[Floats | None]:
        """Return the outputs of each sentence, float32 (n_outputs,), None where they are not known."""
        if self._rows.maxsize == 0:
            return [None] * len(sentences)
        keys = [_key(sentence) for sentence in sentences]
        with self._lock:
            return [self._rows.get(key) for key in keys]

    def remember(self, sentences: Sequence[str], outputs: Floats) -> None:
        """Keep the outputs, (len(sentences), n_outputs); the sentences asked for longest ago make room."""
        if self._rows.maxsize == 0:
            return
        rows = [(_key(s), row.copy()) for s, row in zip(sentences, outputs, strict=True)]
        with self._lock:
            self._rows.update(rows)


def _key(sentence: str) -> bytes:
    one_spaced = _SPACE.sub(" ", sentence).encode("utf-8", "replace")
    return hashlib.blake2b(one_spaced, digest_size=_DIGEST_BYTES).digest()
