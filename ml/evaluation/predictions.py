"""Stored predictions, so that any two evaluations can be compared later; no text.

A .npz file of plain arrays: sha256 of sentence and document name, labels, rounded scores, decisions.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ml.commands import command
from service.errors import RiskscanError
from service.nlp.arrays import Bools, Floats
from service.nlp.taxonomy import Taxonomy, parse_taxonomy

Hashes = npt.NDArray[np.bytes_]

PREDICTIONS_FILE = "predictions.npz"
_DECIMALS = 4
_HITS = "hits_"


class PredictionsError(RiskscanError):
    """Stored predictions are missing, unreadable, or for other sentences."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Labels, scores and decisions of n sentences.

    `sentences` and `documents` are n sha256 in hexadecimal; `y` and `scores` float32
    (n, n_risk_types), `scores` None if the analyzer only decides; `hits` the decisions, of the
    same shape, by sensitivity.
    """

    analyzer: str
    taxonomy: Taxonomy
    sentences: Hashes
    documents: Hashes
    y: Floats
    scores: Floats | None
    hits: Mapping[str, Bools]

    @classmethod
    def from_texts(
        cls,
        analyzer: str,
        *,
        taxonomy: Taxonomy,
        texts: Sequence[str],
        docs: Sequence[str],
        y: Floats,
        scores: Floats | None,
        hits: Mapping[str, Bools],
    ) -> Predictions:
        """Hash sentences and documents, and round the scores."""
        rounded = None if scores is None else np.round(scores, _DECIMALS)
        return cls(analyzer, taxonomy, _hashed(texts), _hashed(docs), y, rounded, hits)

    @property
    def docs(self) -> list[str]:
        """Return the hash of each sentence's document."""
        return [name.decode() for name in self.documents.tolist()]

    def hits_at(self, sensitivity: str) -> Bools:
        """Return bool (n, n_risk_types).

        Raises:
            PredictionsError: there are no decisions at this sensitivity.
        """
        if sensitivity not in self.hits:
            raise PredictionsError(
                f"The evaluation of {self.analyzer} has no decisions at sensitivity {sensitivity!r}, "
                f"only at {', '.join(self.hits)}. Name one of these with --sensitivity."
            )
        return self.hits[sensitivity]

    def check_same_data(self, other: Predictions) -> None:
        """Refuse predictions for other risk types, sentences, labels or documents, or in another order.

        Raises:
            PredictionsError: they differ; the message counts the shared sentences.
        """
        if self.taxonomy != other.taxonomy:
            raise PredictionsError(
                "The two evaluations are of models with different risk types, which cannot be compared."
            )
        pairs = ((self.sentences, other.sentences), (self.documents, other.documents))
        if all(np.array_equal(a, b) for a, b in (*pairs, (self.y, other.y))):
            return
        shared = len(set(self.sentences.tolist()) & set(other.sentences.tolist()))
        raise PredictionsError(
            f"The two evaluations are not over the same data: {len(self.sentences)} and "
            f"{len(other.sentences)} sentences, {shared} of them in both, or with other labels. "
            "Evaluate both with the same --data file."
        )

    def write(self, path: Path) -> None:
        """Write the file; the same predictions give the same bytes."""
        arrays = {
            "analyzer": np.array(self.analyzer),
            "taxonomy": np.array(self.taxonomy.as_json()),
            "sentences": self.sentences,
            "documents": self.documents,
            "y": self.y > 0,
            **({} if self.scores is None else {"scores": self.scores}),
            **{_HITS + sensitivity: hits for sensitivity, hits in self.hits.items()},
        }
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)


def read_predictions(path: Path) -> Predictions:
    """Read a file that `Predictions.write` wrote.

    Raises:
        PredictionsError: the file is missing or damaged.
    """
    remedy = f"Evaluate again with `{command('ml', 'evaluate', 'CONFIG')}`."
    if not path.is_file():
        raise PredictionsError(f"There is no {path}. {remedy}")
    try:
        with np.load(path, allow_pickle=False) as file:
            return _read(dict(file.items()))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise PredictionsError(f"{path} cannot be read. {remedy}") from error


def _read(arrays: Mapping[str, npt.NDArray[np.generic]]) -> Predictions:
    return Predictions(
        analyzer=str(arrays["analyzer"]),
        taxonomy=parse_taxonomy(str(arrays["taxonomy"])),
        sentences=arrays["sentences"].astype(np.bytes_),
        documents=arrays["documents"].astype(np.bytes_),
        y=arrays["y"].astype(np.float32),
        scores=arrays["scores"].astype(np.float32) if "scores" in arrays else None,
        hits={
            key.removeprefix(_HITS): value.astype(np.bool_)
            for key, value in arrays.items()
            if key.startswith(_HITS)
        },
    )


def _hashed(names: Sequence[str]) -> Hashes:
    return np.array([hashlib.sha256(name.encode()).hexdigest() for name in names], np.bytes_)
