"""The vectors of findings in memory, and the exact search for the nearest. Reads no database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
import numpy.typing as npt

from db.queries.findings import Place
from db.tables.search import ROWS
from service.nlp.arrays import Bools, Floats

Bytes = npt.NDArray[np.int8]
Codes = npt.NDArray[np.int16]
StoredPart = tuple[UUID, int, str, bytes]
"""Scan, part, categories and vectors of a row of SearchVectors."""
_AT_ONCE = 4096
"""Rows that are converted to floats together: they stay in the processor's cache."""
_FULL_SCALE = 127.0


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """The vectors of some findings, int8 (n, size): each row times its scale has the length 1.

    `begins` has the first row of each of `parts`, which are scan and part; `codes` the code of each category.
    """

    rows: Bytes
    scales: Floats
    categories: Codes
    codes: dict[str, int] = field(default_factory=dict)
    parts: Sequence[tuple[UUID, int]] = ()
    begins: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_bytes(self) -> int:
        """Memory of the arrays, and about that of the lists."""
        arrays = (self.rows, self.scales, self.categories)
        return sum(array.nbytes for array in arrays) + 200 * len(self.parts)

    def extended(self, stored: Iterable[StoredPart]) -> Vectors:
        """Return these vectors and those of stored parts, which replace earlier ones of the same scan.

        Parts whose vectors have another size are left out.
        """
        size = self.rows.shape[1]
        new = [part for part in stored if _fits(part, size)]
        old = self._without({(scan_id, part) for scan_id, part, _, _ in new})
        rows = np.concatenate(
            [old.rows, *(np.frombuffer(data, np.int8).reshape(-1, size) for *_, data in new)]
        )
        codes = dict(self.codes)
        lines = [line for _, _, categories, _ in new for line in categories.split("\n")]
        added = np.array([codes.setdefault(line, len(codes)) for line in lines], np.int16)
        lengths = [len(data) // size for *_, data in new]
        return Vectors(
            rows,
            np.concatenate([old.scales, _scales(rows[len(old) :])]),
            np.concatenate([old.categories, added]),
            codes,
            [*old.parts, *((scan_id, part) for scan_id, part, _, _ in new)],
            [*old.begins, *(len(old) + np.cumsum([0, *lengths])[:-1]).tolist()],
        )

    def nearest(
        self, vector: Floats, *, limit: int, category: str | None = None
    ) -> list[tuple[Place, float]]:
        """Return up to `limit` findings, nearest first, with their cosine similarity to a unit vector."""
        similarities = self._similarities(vector)
        if category is not None:
            similarities[~self._is_of(category)] = -np.inf
        n = min(limit, len(similarities))
        if n == 0:
            return []
        top = np.argpartition(similarities, len(similarities) - n)[-n:]
        top = top[np.argsort(-similarities[top], kind="stable")]
        top = top[np.isfinite(similarities[top])]
        return [(self._place(row), float(similarities[row])) for row in top.tolist()]

    def _without(self, parts: set[tuple[UUID, int]]) -> Vectors:
        if parts.isdisjoint(self.parts):
            return self
        lengths = np.diff([*self.begins, len(self)])
        kept = np.array([part not in parts for part in self.parts])
        rows = np.repeat(kept, lengths)
        return Vectors(
            self.rows[rows],
            self.scales[rows],
            self.categories[rows],
            self.codes,
            [part for part in self.parts if part not in parts],
            np.cumsum([0, *lengths[kept]])[:-1].tolist(),
        )

    def _similarities(self, vector: Floats) -> Floats:
        result = np.empty(len(self), np.float32)
        block = np.empty((_AT_ONCE, self.rows.shape[1]), np.float32)
        for begin in range(0, len(self), _AT_ONCE):
            rows = self.rows[begin : begin + _AT_ONCE]
            floats = block[: len(rows)]
            np.copyto(floats, rows)
            np.dot(floats, vector, out=result[begin : begin + len(rows)])
        result *= self.scales
        return result

    def _is_of(self, category: str) -> Bools:
        result: Bools = self.categories == self.codes.get(category, -1)
        return result

    def _place(self, row: int) -> Place:
        k = int(np.searchsorted(self.begins, row, side="right")) - 1
        scan_id, part = self.parts[k]
        return scan_id, part * ROWS + row - self.begins[k] + 1


def no_vectors(size: int) -> Vectors:
    """Return the vectors of no finding, of this width."""
    empty = np.zeros(0, np.float32)
    return Vectors(np.zeros((0, size), np.int8), empty, np.zeros(0, np.int16))


def stored_parts(vectors: Floats, categories: Sequence[str | None]) -> list[tuple[str, bytes]]:
    """Return categories and bytes of the parts of a scan's findings, from float32 (n, size)."""
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True, initial=0.0), 1e-9)
    rows = np.rint(vectors * (_FULL_SCALE / largest)).astype(np.int8)
    return [
        ("\n".join(c or "" for c in categories[k : k + ROWS]), rows[k : k + ROWS].tobytes())
        for k in range(0, len(rows), ROWS)
    ]


def _fits(part: StoredPart, size: int) -> bool:
    _, _, lines, data = part
    return len(data) == size * (lines.count("\n") + 1)


def _scales(rows: Bytes) -> Floats:
    """Return the factors that give rows the length 1, float32 (n,)."""
    squares = np.empty(len(rows), np.float32)
    for k in range(0, len(rows), _AT_ONCE):
        floats = rows[k : k + _AT_ONCE].astype(np.float32)
        squares[k : k + _AT_ONCE] = np.einsum("ij,ij->i", floats, floats)
    return (1 / np.sqrt(np.maximum(squares, 1))).astype(np.float32)
