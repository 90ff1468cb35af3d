"""The inputs of a training: token ids, and targets mixed with the teachers' probabilities."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import torch

from ml.corpus.dataset import Dataset, Example, targets
from ml.settings import Settings
from ml.training import cross_fitting
from ml.training.base import base_tokenizer
from ml.training.batches import Ids, encode, in_bfloat16, model_logits
from ml.training.trained_models import groups_that_fit, mean_network, open_models
from ml.training.variation import Variation
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.arrays import Floats


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
        self.variation: Variation | None = None
        """Varies the sentences each time they are read, if the recipe says so."""

    @property
    def n_labels(self) -> int:
        """Number of risk types."""
        return self.y.shape[1]

    @classmethod
    def read(cls, settings: Settings, dataset: Dataset) -> Inputs:
        """Encode the sentences, and mix the teachers' probabilities into the targets."""
        recipe, examples = settings.train, [*dataset.train, *dataset.unlabelled]
        tokenizer = base_tokenizer(settings.base)
        texts = [e.text for e in examples]
        ids = encode(tokenizer.tokenizer, texts, recipe.max_length_tokens)
        dev_texts = [e.text for e in dataset.dev]
        dev_ids = encode(tokenizer.tokenizer, dev_texts, recipe.max_length_tokens)
        y = mixed_targets(settings, dataset)
        inputs = cls(ids, y, dev_ids, torch.from_numpy(targets(dataset.dev, dataset.taxonomy)))
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


def mixed_targets(settings: Settings, dataset: Dataset) -> torch.Tensor:
    """Return float32 (n_train + n_unlabelled, n_risk_types).

    Labels mixed with the teachers' probabilities, and for the unlabelled sentences these alone.

    Raises:
        ConfigError: there are unlabelled sentences but no teachers.
    """
    labelled, unlabelled = dataset.train, dataset.unlabelled
    y = torch.from_numpy(targets(labelled, dataset.taxonomy))
    if not settings.train.teachers:
        if unlabelled:
            raise ConfigError(
                "[data] names unlabelled sentences, and [train] no teachers to give them targets: name "
                "teachers, or set `unlabelled = []`."
            )
        return y
    soft = teacher_scores(settings, [*labelled, *unlabelled])
    n = len(labelled)
    return torch.cat([torch.lerp(y, soft[:n], settings.train.teacher_weight), soft[n:]])


def teacher_scores(settings: Settings, examples: Sequence[Example]) -> torch.Tensor:
    """Return float32 (n, n_risk_types): the probabilities by the mean of the teachers.

    The mean is of weights for teachers of one shape, and of logits for others, each of which reads the
    sentences by its own tokenizer. A sentence that a teacher held out of its own training takes that
    teacher's cross-fitted score instead.
    """
    held_out = [cross_fitting.read(ROOT / name) for name in settings.train.teachers]
    unseen = [cross_fitting.held_out_logits(e, held_out) for e in examples]
    rest = [k for k, scores in enumerate(unseen) if not scores]
    logits: dict[int, Floats] = {k: np.mean(s, axis=0) for k, s in enumerate(unseen) if s}
    if rest:
        scores = _mean_logits(settings, [examples[k].text for k in rest])
        logits |= dict(zip(rest, scores, strict=True))
    ordered = np.array([logits[k] for k in range(len(examples))], np.float32)
    return torch.sigmoid(torch.from_numpy(ordered))


def _mean_logits(settings: Settings, texts: Sequence[str]) -> Floats:
    recipe = settings.train
    groups = groups_that_fit(open_models(recipe.teachers))
    total: list[Floats] = []
    for group in groups:
        ids = encode(group[0].tokenizer, texts, recipe.max_length_tokens)
        network = mean_network(group, dropout=0.0)
        total.append(model_logits(network, ids, bfloat16=in_bfloat16(recipe)).numpy())
    mean: Floats = np.mean(total, axis=0, dtype=np.float32)
    return mean
