"""The vectors of findings in memory, and the exact search for the nearest. Reads no database."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
import numpy.typing as npt

from db.queries.places import Place
from db.tables.search import ROWS
from service.nlp.arrays import Bools, Floats

Bytes = npt.NDArray[np.int8]
Codes = npt.NDArray[np.int16]
Keys = npt.NDArray[np.uint64]
StoredPart = tuple[UUID, int, UUID, str, bytes]
"""Scan, part, series of the document, categories and vectors of a row of SearchVectors."""
_AT_ONCE = 4096
"""Rows that are converted to floats together: they stay in the processor's cache."""
_FULL_SCALE = 127.0


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """The vectors of some findings, int8 (n, size): each row times its scale has the length 1.

    `begins` has the first row of each of `parts`, which are scan and part; `codes` the code of each category.
    `keys` are equal for the same sentence and category in scans of one document or of its versions.
    `is_repeat` says of which rows a newer scan has the same: the nearest never include these.
    """

    rows: Bytes
    scales: Floats
    categories: Codes
    keys: Keys
    is_repeat: Bools
    codes: dict[str, int] = field(default_factory=dict)
    parts: Sequence[tuple[UUID, int]] = ()
    begins: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_bytes(self) -> int:
        """Memory of the arrays, and about that of the lists."""
        arrays = (self.rows, self.scales, self.categories, self.keys, self.is_repeat)
        return sum(array.nbytes for array in arrays) + 200 * len(self.parts)

    def extended(self, stored: Iterable[StoredPart]) -> Vectors:
        """Return these vectors and those of stored parts, which replace earlier ones of the same scan.

        Parts whose vectors have another size are left out.
        """
        size = self.rows.shape[1]
        new = [part for part in stored if _fits(part, size)]
        old = self.without({(scan_id, part) for scan_id, part, *_ in new})
        rows = np.concatenate(
            [old.rows, *(np.frombuffer(data, np.int8).reshape(-1, size) for *_, data in new)]
        )
        codes = dict(self.codes)
        lines = [line for *_, categories, _ in new for line in categories.split("\n")]
        added = np.array([codes.setdefault(line, len(codes)) for line in lines], np.int16)
        lengths = [len(data) // size for *_, data in new]
        added_rows = rows[len(old) :]
        series = np.repeat(_hashes([series_id for _, _, series_id, _, _ in new]), lengths)
        keys = np.concatenate([old.keys, _keys(added_rows, added, series)])
        parts = [*old.parts, *((scan_id, part) for scan_id, part, *_ in new)]
        begins = [*old.begins, *(len(old) + np.cumsum([0, *lengths])[:-1]).tolist()]
        return Vectors(
            rows,
            np.concatenate([old.scales, scales_of(added_rows)]),
            np.concatenate([old.categories, added]),
            keys,
            _repeats(keys, parts, begins),
            codes,
            parts,
            begins,
        )

    def nearest(
        self, vector: Floats, *, limit: int, category: str | None = None
    ) -> list[tuple[Place, float]]:
        """Return up to `limit` findings, nearest first, with their cosine similarity to a unit vector."""
        similarities = cosines(self.rows, self.scales, vector)
        similarities[self.is_repeat] = -np.inf
        if category is not None:
            similarities[~self._is_of(category)] = -np.inf
        n = min(limit, len(similarities))
        if n == 0:
            return []
        top = np.argpartition(similarities, len(similarities) - n)[-n:]
        top = top[np.argsort(-similarities[top], kind="stable")]
        top = top[np.isfinite(similarities[top])]
        return [(self._place(row), float(similarities[row])) for row in top.tolist()]

    def without(self, parts: Set[tuple[UUID, int]]) -> Vectors:
        """Return these vectors without those of some scans' parts."""
        if parts.isdisjoint(self.parts):
            return self
        lengths = np.diff([*self.begins, len(self)])
        kept = np.array([part not in parts for part in self.parts])
        rows = np.repeat(kept, lengths)
        left = [part for part in self.parts if part not in parts]
        begins = np.cumsum([0, *lengths[kept]])[:-1].tolist()
        keys = self.keys[rows]
        return Vectors(
            self.rows[rows],
            self.scales[rows],
            self.categories[rows],
            keys,
            _repeats(keys, left, begins),
            self.codes,
            left,
            begins,
        )

    def _is_of(self, category: str) -> Bools:
        result: Bools = self.categories == self.codes.get(category, -1)
        return result

    def _place(self, row: int) -> Place:
        k = bisect_right(self.begins, row) - 1
        scan_id, part = self.parts[k]
        return scan_id, part * ROWS + row - self.begins[k] + 1


def no_vectors(size: int) -> Vectors:
    """Return the vectors of no finding, of this width."""
    empty = np.zeros(0, np.float32)
    return Vectors(
        np.zeros((0, size), np.int8),
        empty,
        np.zeros(0, np.int16),
        np.zeros(0, np.uint64),
        np.zeros(0, np.bool_),
    )


def stored_parts(vectors: Floats, categories: Sequence[str | None]) -> list[tuple[str, bytes]]:
    """Return categories and bytes of the parts of a scan's findings, from float32 (n, size)."""
    rows = quantized(vectors)
    return [
        ("\n".join(c or "" for c in categories[k : k + ROWS]), rows[k : k + ROWS].tobytes())
        for k in range(0, len(rows), ROWS)
    ]


def cosines(rows: Bytes, scales: Floats, vector: Floats) -> Floats:
    """Return the cosine of each row with a vector of length 1, float32 (n,); `scales` make rows that long."""
    result = np.empty(len(rows), np.float32)
    block = np.empty((_AT_ONCE, rows.shape[1]), np.float32)
    for begin in range(0, len(rows), _AT_ONCE):
        some = rows[begin : begin + _AT_ONCE]
        floats = block[: len(some)]
        np.copyto(floats, some)
        np.dot(floats, vector, out=result[begin : begin + len(some)])
    result *= scales
    return result


def quantized(vectors: Floats) -> Bytes:
    """Return rows times factors of their own that make the largest number of each 127, int8 (n, size)."""
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True, initial=0.0), 1e-9)
    rows: Bytes = np.rint(vectors * (_FULL_SCALE / largest)).astype(np.int8)
    return rows


def _fits(part: StoredPart, size: int) -> bool:
    *_, lines, data = part
    return len(data) == size * (lines.count("\n") + 1)


def scales_of(rows: Bytes) -> Floats:
    """Return the factors that give rows the length 1, float32 (n,)."""
    squares = np.empty(len(rows), np.float32)
    for k in range(0, len(rows), _AT_ONCE):
        floats = rows[k : k + _AT_ONCE].astype(np.float32)
        squares[k : k + _AT_ONCE] = np.einsum("ij,ij->i", floats, floats)
    return (1 / np.sqrt(np.maximum(squares, 1))).astype(np.float32)


def _keys(rows: Bytes, categories: Codes, series: Keys) -> Keys:
    """Return a hash of each row with its category and series, uint64 (n,). The encoder is deterministic."""
    width = -rows.shape[1] % 8
    n_words = (rows.shape[1] + width) // 8
    factors = np.random.default_rng(0).integers(0, 2**64, n_words + 1, np.uint64) | np.uint64(1)
    keys: Keys = series + categories.astype(np.uint64) * factors[0]
    for k in range(0, len(rows), _AT_ONCE):
        words = np.pad(rows[k : k + _AT_ONCE], ((0, 0), (0, width))).view(np.uint64)
        keys[k : k + _AT_ONCE] += (words * factors[1:]).sum(axis=1, dtype=np.uint64)
    return keys


def _hashes(ids: Sequence[UUID]) -> Keys:
    return np.array([hash(row_id) % 2**64 for row_id in ids], np.uint64)


def _repeats(keys: Keys, parts: Sequence[tuple[UUID, int]], begins: Sequence[int]) -> Bools:
    """Return which rows have the key of a row of a newer scan; ids of scans increase with time."""
    if not parts:
        return np.zeros(0, np.bool_)
    numbers = {scan_id: k for k, scan_id in enumerate(sorted({scan.int for scan, _ in parts}))}
    ages = np.repeat([numbers[scan.int] for scan, _ in parts], np.diff([*begins, len(keys)]))
    order = np.lexsort((ages, keys))
    ordered, ages = keys[order], ages[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(keys) - 1)
    newest = np.repeat(ages[ends], np.diff(ends, prepend=-1))
    result = np.empty(len(keys), np.bool_)
    result[order] = ages < newest
    return result
