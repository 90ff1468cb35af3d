"""Cache of the network's outputs by sentence, since documents are scanned again after small edits.

A cache belongs to one loaded model. It stores digests, never text. The key is the sentence and the threshold
of the network's exit: whether a sentence left moves its neighbours' scores, and findings must not depend on
what was scanned before at another threshold.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
import threading
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from service.nlp.arrays import Floats

# The tokenizer treats runs of these as one space; it may treat other white space differently.
_SPACES = re.compile(r"[ \t\r\n]+")
_DIGEST_BYTES = 16


class ScoreCache:
    """An LRU cache of at most `max_sentences` sentences, 0 for none; about 0.8 kB each. Thread-safe."""

    def __init__(self, max_sentences: int) -> None:
        self._max_sentences = max_sentences
        self._lock = threading.Lock()
        self._slots: OrderedDict[bytes, int] = OrderedDict()  # least recently used first
        # One array with a row for each slot: an array for each sentence would take a third more memory.
        self._rows = np.empty((0, 0), np.float32)

    def get(self, sentences: Sequence[str], leave_below: float = -math.inf) -> list[Floats | None]:
        """Return the outputs of each sentence, float32 (n_outputs,), or None if none are cached.

        Only outputs that were stored at the same `leave_below` count.
        """
        if self._max_sentences == 0:
            return [None] * len(sentences)
        keys = _keys(sentences, leave_below)
        with self._lock:
            slots = [self._touch(key) for key in keys]
            return [None if slot is None else self._rows[slot].copy() for slot in slots]

    def put(
        self, sentences: Sequence[str], outputs: Floats, leave_below: float = -math.inf
    ) -> None:
        """Store outputs, (len(sentences), n_outputs), and evict the least recently used sentences.

        `leave_below` is that of Engine.early_outputs at which they were computed.
        """
        if self._max_sentences == 0 or not sentences:
            return
        keys = _keys(sentences, leave_below)
        with self._lock:
            if not len(self._rows):  # the first outputs show the width
                self._rows = np.empty((self._max_sentences, outputs.shape[1]), np.float32)
            for key, row in zip(keys, outputs, strict=True):
                self._rows[self._slot(key)] = row

    def _touch(self, key: bytes) -> int | None:
        """Return the slot of a cached sentence and mark it as used, or None."""
        slot = self._slots.get(key)
        if slot is not None:
            self._slots.move_to_end(key)
        return slot

    def _slot(self, key: bytes) -> int:
        """Return the slot to write a sentence to: its own, a free one, or an evicted one."""
        slot = self._touch(key)
        if slot is None:
            is_full = len(self._slots) == self._max_sentences
            slot = self._slots.popitem(last=False)[1] if is_full else len(self._slots)
            self._slots[key] = slot
        return slot


def _keys(sentences: Sequence[str], leave_below: float) -> list[bytes]:
    salt = struct.pack("<d", leave_below)
    return [_key(sentence, salt) for sentence in sentences]


def _key(sentence: str, salt: bytes) -> bytes:
    normalized = _SPACES.sub(" ", sentence).encode("utf-8", "replace")
    return hashlib.blake2b(normalized, digest_size=_DIGEST_BYTES, salt=salt).digest()
