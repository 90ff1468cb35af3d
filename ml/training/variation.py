"""Varies training sentences, so that a verdict depends neither on a full stop or bullet nor on a single word.

The targets stay those of the sentence as it is written.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ml.settings import TrainSettings
from ml.training.base import BaseTokenizer
from ml.training.batches import Ids, encode
from service.errors import ConfigError

_BULLETS = ("- ", "• ", "* ")
_LARGEST_NUMBER = 20
_LETTERS = "abcdefgh"


@dataclass(frozen=True, slots=True, eq=False)
class Variation:
    """The sentences of a training by row, and the shares of sentences and of tokens that are varied."""

    texts: Sequence[str]
    tokenizer: BaseTokenizer
    recipe: TrainSettings

    def __post_init__(self) -> None:
        """Check that there is a mask token if some are to be masked.

        Raises:
            ConfigError: there is none.
        """
        if self.recipe.mask_share and self.tokenizer.mask_id is None:
            raise ConfigError(
                "[train] mask_share needs a mask token, and the tokenizer of [base] has none: set it to 0.0, "
                "or pin the base's tokenizer_config.json if that names one."
            )

    def ids(self, rows: Sequence[int], rng: random.Random) -> list[Ids]:
        """Return the token ids of sentences, varied at random."""
        recipe, texts = self.recipe, [self.texts[row] for row in rows]
        texts = [varied(t, rng) if rng.random() < recipe.vary_share else t for t in texts]
        ids = encode(self.tokenizer.tokenizer, texts, recipe.max_length_tokens)
        if self.tokenizer.mask_id is None:
            return ids
        return [masked(i, self.tokenizer.mask_id, recipe.mask_share, rng) for i in ids]


def varied(text: str, rng: random.Random) -> str:
    """Return the sentence without its final full stop, or behind a bullet or a number, or both."""
    stopped = text.rstrip()
    bare = stopped[:-1] if stopped.endswith(".") and not stopped.endswith("..") else ""
    change = rng.choice(("stop", "mark", "both"))
    if bare and change != "mark":
        text = bare
    return text if bare and change == "stop" else _mark(rng) + text


def masked(ids: Ids, mask_id: int, share: float, rng: random.Random) -> Ids:
    """Return the ids with about `share` of the tokens masked, never the special ones at both ends."""
    last = len(ids) - 1
    return [mask_id if 0 < k < last and rng.random() < share else i for k, i in enumerate(ids)]


def _mark(rng: random.Random) -> str:
    number = rng.randint(1, _LARGEST_NUMBER)
    return rng.choice((rng.choice(_BULLETS), f"{number}. ", f"({rng.choice(_LETTERS)}) "))
