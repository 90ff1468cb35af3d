"""What the network said of a sentence the last time: documents are scanned again after small edits.

Belongs to one loaded model, so that the sentence alone is the key. Keeps digests, never text.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from service.nlp.arrays import Floats

_SPACE = re.compile(
    r"[ \t\r\n]+"
)  # runs of these are one to the tokenizer; other white space is not
_DIGEST_BYTES = 16


class SentenceCache:
    """The outputs of the sentences read last, at most `max_sentences`; of none where that is 0.

    Any thread may call it. A sentence takes about 0.8 kB.
    """

    def __init__(self, max_sentences: int) -> None:
        self._max_sentences = max_sentences
        self._lock = threading.Lock()
        self._slots: OrderedDict[bytes, int] = OrderedDict()  # the sentence asked for last is last
        self._rows = np.empty((0, 0), np.float32)
        """One row a slot: an array of its own for each takes a third more."""

    def known(self, sentences: Sequence[str]) -> list[Floats | None]:
        """Return the outputs of each sentence, float32 (n_outputs,), None where they are not known."""
        if self._max_sentences == 0:
            return [None] * len(sentences)
        keys = [_key(sentence) for sentence in sentences]
        with self._lock:
            slots = [self._used(key) for key in keys]
            return [None if slot is None else self._rows[slot].copy() for slot in slots]

    def remember(self, sentences: Sequence[str], outputs: Floats) -> None:
        """Keep the outputs, (len(sentences), n_outputs); the sentences asked for longest ago make room."""
        if self._max_sentences == 0 or not sentences:
            return
        keys = [_key(sentence) for sentence in sentences]
        with self._lock:
            if not len(self._rows):  # what is read tells how wide the rows are
                self._rows = np.empty((self._max_sentences, outputs.shape[1]), np.float32)
            for key, row in zip(keys, outputs, strict=True):
                self._rows[self._slot(key)] = row

    def _used(self, key: bytes) -> int | None:
        """Return the slot of a sentence, which is the last to make room from now on; None if it has none."""
        slot = self._slots.get(key)
        if slot is not None:
            self._slots.move_to_end(key)
        return slot

    def _slot(self, key: bytes) -> int:
        """Return the slot of a sentence: its own, a free one, or that of the sentence which makes room."""
        slot = self._used(key)
        if slot is None:
            is_full = len(self._slots) == self._max_sentences
            slot = self._slots.popitem(last=False)[1] if is_full else len(self._slots)
            self._slots[key] = slot
        return slot


def _key(sentence: str) -> bytes:
    one_spaced = _SPACE.sub(" ", sentence).encode("utf-8", "replace")
    return hashlib.blake2b(one_spaced, digest_size=_DIGEST_BYTES).digest()
