"""The inputs of a training: token ids, and targets mixed with the teachers' probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ml.corpus.dataset import Dataset, Example, targets
from ml.settings import Settings
from ml.training import cross_fitting
from ml.training.batches import Ids, encode, in_bfloat16, model_logits, open_tokenizer
from ml.training.pretrained import base_dir, mean_model
from service.config.settings import ROOT
from service.nlp.taxonomy import RISK_TYPES


class Inputs:
    """Token ids and targets of both splits: lists of ids, float32 (n, n_risk_types)."""

    def __init__(
        self, ids: list[Ids], y: torch.Tensor, dev_ids: list[Ids], dev_y: torch.Tensor
    ) -> None:
        self.ids, self.y, self.dev_ids, self.dev_y = ids, y, dev_ids, dev_y
        self.optional_rows: list[int] = []
        """Real sentences that state no risk: each epoch takes a share of them."""
        self.fold = np.zeros(len(ids), np.intp)
        """Fold of each row; see TrainSettings."""

    @classmethod
    def read(cls, settings: Settings, dataset: Dataset) -> Inputs:
        """Encode the sentences, and mix the teachers' probabilities into the targets."""
        train = settings.train
        tokenizer = open_tokenizer(base_dir(settings.base) / "tokenizer.json")
        ids = encode(tokenizer, [e.text for e in dataset.train], train.max_length_tokens)
        dev_ids = encode(tokenizer, [e.text for e in dataset.dev], train.max_length_tokens)
        y = torch.from_numpy(targets(dataset.train))
        if train.teachers:
            y = torch.lerp(y, teacher_scores(settings, dataset.train, ids), train.teacher_weight)
        inputs = cls(ids, y, dev_ids, torch.from_numpy(targets(dataset.dev)))
        inputs.optional_rows = [k for k, e in enumerate(dataset.train) if is_optional(e)]
        if train.folds > 1:
            inputs.fold = cross_fitting.document_folds(dataset.train, train.folds)
        return inputs


def is_optional(example: Example) -> bool:
    """Return whether an epoch may skip the sentence: it is real, plentiful, and states no risk."""
    return not example.labels and not example.composed


def teacher_scores(
    settings: Settings, examples: Sequence[Example], ids: Sequence[Ids]
) -> torch.Tensor:
    """Return float32 (n, n_risk_types): the probabilities by the mean of the teachers.

    A sentence that a teacher held out of its own training takes that teacher's cross-fitted score instead.
    """
    teachers, recipe = settings.train.teachers, settings.train
    held_out = [cross_fitting.read(ROOT / name) for name in teachers]
    unseen = [cross_fitting.held_out_logits(e, held_out) for e in examples]
    rest = [k for k, scores in enumerate(unseen) if not scores]
    logits = np.array([np.mean(s, axis=0) if s else np.zeros(len(RISK_TYPES)) for s in unseen])
    if rest:
        model = mean_model(teachers, dropout=0.0)
        fast = in_bfloat16(recipe)
        logits[rest] = model_logits(model, [ids[k] for k in rest], bfloat16=fast).numpy()
    return torch.sigmoid(torch.from_numpy(logits.astype(np.float32)))
