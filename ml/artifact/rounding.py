"""The F1 cost of rounding a run's weights to integers, against its float32 weights in torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ml.corpus.dataset import Example, targets
from ml.corpus.reading_order import score_documents
from ml.evaluation import quantization_loss
from ml.evaluation.resampling import Measure
from ml.settings import Settings
from ml.training.checkpoints import model_path
from ml.training.trained_models import mean_network, open_models
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.arrays import Floats, Ints
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.engine import Engine
from service.nlp.inference.network import Network


class FloatEngine(Engine):
    """The float32 weights of a run in torch, on the CPU."""

    device = "cpu"

    def __init__(self, model: Network) -> None:
        self._model = model.eval()
        self.n_outputs = model.n_outputs

    def outputs(self, input_ids: Ints, attention_mask: Ints) -> Floats:
        with torch.inference_mode():
            out: Floats = self._model.outputs(
                torch.from_numpy(input_ids), torch.from_numpy(attention_mask)
            ).numpy()
        return out


def rounding_loss(
    settings: Settings, shipped: LocalAnalyzer, dev: Sequence[Example]
) -> dict[str, Measure] | None:
    """Return what rounding costs in points of F1; None if the run's weights are missing."""
    if not model_path(settings.run_dir).is_file():
        return None
    trained = open_trained(settings)
    try:
        scores = score_documents(trained, dev)
    finally:
        trained.close()
    docs, taxonomy = [e.doc for e in dev], shipped.taxonomy
    ours = score_documents(shipped, dev)
    return quantization_loss.differences(
        ours, scores, targets(dev, taxonomy), docs, shipped.decide, taxonomy=taxonomy
    )


def open_trained(settings: Settings) -> LocalAnalyzer:
    """Return the analyzer of the run's float32 weights: all but the weights are the artifact's."""
    torch.set_num_threads(settings.train.n_threads)
    artifact = artifacts.load(settings.artifact_dir)
    model = mean_network(open_models([settings.train.run]), dropout=0.0)
    return LocalAnalyzer(artifact, FloatEngine(model))
