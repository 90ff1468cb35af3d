"""The inputs of a training: token ids, and targets mixed with the teachers' probabilities."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ml.corpus.dataset import Dataset, Example, targets
from ml.settings import Settings
from ml.training import cross_fitting
from ml.training.base import base_tokenizer
from ml.training.batches import Ids, encode
from ml.training.teachers import lessons
from ml.training.variation import Variation
from service.errors import ConfigError


class Inputs:
    """Token ids and targets of both splits: lists of ids, float32 (n, n_risk_types).

    The rows of the training split are its labelled sentences, then the unlabelled ones.
    """

    def __init__(
        self, ids: list[Ids], y: torch.Tensor, dev_ids: list[Ids], dev_y: torch.Tensor
    ) -> None:
        self.ids, self.y, self.dev_ids, self.dev_y = ids, y, dev_ids, dev_y
        self.optional_rows: list[int] = []
        """Real sentences that state no risk: each epoch takes a share of them."""
        self.composed_rows: list[int] = []
        """Composed sentences: each epoch takes a share of them, too."""
        self.unlabelled_rows: list[int] = []
        """And of these."""
        self.fold = np.zeros(len(ids), np.intp)
        """Fold of each row; see TrainSettings."""
        self.vectors: torch.Tensor | None = None
        """The teachers' vectors, float16 (n, width), if the recipe says so."""
        self.first_vectors: torch.Tensor | None = None
        """Float32 (n, hidden): the inputs of the last feed-forward network, if only it and the head train."""
        self.variation: Variation | None = None
        """Varies the sentences each time they are read, if the recipe says so."""

    @property
    def n_labels(self) -> int:
        """Number of risk types."""
        return self.y.shape[1]

    @classmethod
    def read(cls, settings: Settings, dataset: Dataset) -> Inputs:
        """Encode the sentences, and mix the teachers' probabilities into the targets."""
        recipe = settings.train
        if not recipe.unlabelled_share:
            dataset = replace(dataset, unlabelled=[])
        examples = [*dataset.train, *dataset.unlabelled]
        tokenizer = base_tokenizer(settings.base)
        texts = [e.text for e in examples]
        ids = encode(tokenizer.tokenizer, texts, recipe.max_length_tokens)
        dev_texts = [e.text for e in dataset.dev]
        dev_ids = encode(tokenizer.tokenizer, dev_texts, recipe.max_length_tokens)
        y, vectors = mixed_targets(settings, dataset)
        inputs = cls(ids, y, dev_ids, torch.from_numpy(targets(dataset.dev, dataset.taxonomy)))
        inputs.vectors = vectors
        inputs.optional_rows = [k for k, e in enumerate(dataset.train) if is_optional(e)]
        inputs.composed_rows = [k for k, e in enumerate(dataset.train) if e.composed]
        inputs.unlabelled_rows = list(range(len(dataset.train), len(examples)))
        if recipe.folds > 1:
            inputs.fold = cross_fitting.document_folds(examples, recipe.folds)
        if recipe.vary_share or recipe.mask_share:
            inputs.variation = Variation(texts, tokenizer, recipe)
        return inputs

    def batch(self, rows: Sequence[int], rng: random.Random) -> list[Ids]:
        """Return the token ids of rows to train on, varied at random if the recipe says so."""
        if self.variation is None:
            return [self.ids[row] for row in rows]
        return self.variation.ids(rows, rng)


def is_optional(example: Example) -> bool:
    """Return whether an epoch may skip the sentence: it is real, plentiful, and states no risk."""
    return not example.labels and not example.composed


def mixed_targets(settings: Settings, dataset: Dataset) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return float32 (n_train + n_unlabelled, n_risk_types), and the teachers' vectors of these rows.

    Labels mixed with the teachers' probabilities, and for the unlabelled sentences these alone.

    Raises:
        ConfigError: there are unlabelled sentences, vectors to learn or a slope of teachers, but no teachers.
    """
    recipe, labelled, unlabelled = settings.train, dataset.train, dataset.unlabelled
    y = torch.from_numpy(targets(labelled, dataset.taxonomy))
    if not recipe.teachers:
        if unlabelled:
            raise ConfigError(
                "[data] names unlabelled sentences, and [train] no teachers to give them targets: name "
                "teachers, or set `unlabelled_share = 0.0`."
            )
        if recipe.vector_weight:
            raise ConfigError("[train] vector_weight needs teachers: name some, or set it to 0.0.")
        if recipe.teacher_slope < 1:
            raise ConfigError("[train] teacher_slope needs teachers: name some, or set it to 1.0.")
        return y, None
    taught = lessons(settings, [*labelled, *unlabelled])
    soft, n = taught.probabilities, len(labelled)
    mixed = torch.cat([torch.lerp(y, soft[:n], recipe.teacher_weight), soft[n:]])
    return mixed, taught.vectors
