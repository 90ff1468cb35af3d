"""Cross-fitted scores: a run's scores for sentences that it held out of its own training.

With `folds` in the recipe each seed holds out one fold of the documents, and scores it at the end. A teacher
has memorised its own training sentences and repeats their labels; for a held-out sentence it predicts what
the other labels imply (arXiv:1911.00068).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from ml.corpus.dataset import Example
from ml.settings import TrainSettings
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.arrays import Floats

_DIGEST_BYTES = 16


def document_folds(examples: Sequence[Example], n_folds: int) -> npt.NDArray[np.intp]:
    """Return the fold of each sentence, (n,) in 0 to n_folds - 1, by its document's digest alone.

    A document keeps its fold when others are added or removed.
    """
    return np.array([digest(e.doc)[0] % n_folds for e in examples], np.intp)


def scores_path(run: Path) -> Path:
    """Return the file of a run's cross-fitted logits."""
    return run / "out-of-fold.safetensors"


def write(run: Path, texts: Sequence[str], logits: Floats) -> None:
    """Write the logits, float32 (n, n_risk_types), each beside the digest of its sentence."""
    digests = np.array([list(digest(text)) for text in texts], np.uint8)
    save_file({"digests": digests, "logits": logits}, scores_path(run))


def read(run: Path) -> dict[bytes, Floats]:
    """Return the logits, (n_risk_types,), by digest; empty for a run or artifact without folds."""
    if not scores_path(run).is_file():
        return {}
    tensors = load_file(scores_path(run))
    return {bytes(d): row for d, row in zip(tensors["digests"], tensors["logits"], strict=True)}


def held_out_logits(example: Example, held_out: Sequence[Mapping[bytes, Floats]]) -> list[Floats]:
    """Return the logits, (n_risk_types,), of each run in `held_out` that held the sentence out."""
    key = digest(example.text)
    return [scores[key] for scores in held_out if key in scores]


def real_sentence_logits(
    names: Sequence[str], examples: Sequence[Example]
) -> dict[int, list[Floats]]:
    """Return the cross-fitted logits of real sentences by row, from the runs `names`.

    Empty without runs or without real sentences.

    Raises:
        ConfigError: the runs scored none of the real sentences.
    """
    real = [k for k, e in enumerate(examples) if not e.composed]
    if not names or not real:
        return {}
    held_out = [read(ROOT / name) for name in names]
    logits = {k: scores for k in real if (scores := held_out_logits(examples[k], held_out))}
    if not logits:
        raise ConfigError(
            f"[train] influence_of = {list(names)} has cross-fitted scores of none of the real sentences: "
            "train a run with folds over the same data first, or leave it empty."
        )
    return logits


def digest(text: str) -> bytes:
    """Return the key of a sentence in the result of `read`."""
    return hashlib.sha256(text.encode()).digest()[:_DIGEST_BYTES]


def held_out_fold(recipe: TrainSettings, seed: int) -> int | None:
    """Return the fold that a seed holds out; None without folds.

    Raises:
        ConfigError: seeds hold out some folds more often than others.
    """
    if recipe.folds < 2:
        return None
    if len(recipe.seeds) > recipe.folds and len(recipe.seeds) % recipe.folds:
        raise ConfigError(
            f"[train] names {len(recipe.seeds)} seeds for {recipe.folds} folds: "
            "give as many seeds as folds, a multiple of that, or fewer."
        )
    return recipe.seeds.index(seed) % recipe.folds
