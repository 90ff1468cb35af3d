"""What a run says of sentences that it did not learn from: cross-fitted scores, for teaching and cleaning.

With `folds` in the recipe each training leaves one part of the documents out, and scores that part when it
has ended. A teacher has its own training sentences by heart and repeats their labels; of a sentence
it never met it says what the other labels let one expect (arXiv:1911.00068).
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


def fold_of(examples: Sequence[Example], n_folds: int) -> npt.NDArray[np.intp]:
    """Return the fold of each sentence, (n,) in 0 to n_folds - 1, by its document's digest alone.

    So a document keeps its fold when others come and go.
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
    held = load_file(scores_path(run))
    return {bytes(d): row for d, row in zip(held["digests"], held["logits"], strict=True)}


def scores_of(example: Example, held: Sequence[Mapping[bytes, Floats]]) -> list[Floats]:
    """Return the logits, (n_risk_types,), that each of the runs in `held` gives the sentence."""
    key = digest(example.text)
    return [scores[key] for scores in held if key in scores]


def of_real_sentences(names: Sequence[str], examples: Sequence[Example]) -> dict[int, list[Floats]]:
    """Return the rows of real sentences that the runs `names` scored, each with its logits.

    Empty without runs or without real sentences.

    Raises:
        ConfigError: the runs scored none of the real sentences.
    """
    real = [k for k, e in enumerate(examples) if not e.composed]
    if not names or not real:
        return {}
    held = [read(ROOT / name) for name in names]
    found = {k: scores for k in real if (scores := scores_of(examples[k], held))}
    if not found:
        raise ConfigError(
            f"[train] influence_of = {list(names)} holds cross-fitted scores of none of the real sentences: "
            "train a run with folds over the same data first, or leave it empty."
        )
    return found


def digest(text: str) -> bytes:
    """Return the key of a sentence in what `read` gives."""
    return hashlib.sha256(text.encode()).digest()[:_DIGEST_BYTES]


def fold_left_out(recipe: TrainSettings, seed: int) -> int | None:
    """Return the fold that a seed does not learn from; None without folds.

    Raises:
        ConfigError: the seeds do not leave out each fold equally often.
    """
    if recipe.folds < 2:
        return None
    if len(recipe.seeds) % recipe.folds:
        raise ConfigError(
            f"[train] names {len(recipe.seeds)} seeds for {recipe.folds} folds: "
            "give a seed for each fold, or a multiple of that."
        )
    return recipe.seeds.index(seed) % recipe.folds
