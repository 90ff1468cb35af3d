"""Finished runs of small encoders that nothing trained."""

from dataclasses import replace

from ml import settings
from ml.training.base import base_network, base_tokenizer
from ml.training.checkpoints import model_path
from ml.training.optimizers import save_state
from ml.training.trained_models import write_description
from service.config.settings import ROOT
from service.nlp.taxonomy import built_in
from tests.support.encoders import pins, write_encoder


def with_base(folder, **changes):
    """Return the retraining recipe around the encoder in `folder`."""
    plain = settings.load(ROOT / "ml/configs/retrain.toml")
    values = {"model": str(folder), "sha256": pins(folder), "start": []} | changes
    return replace(plain, base=replace(plain.base, **values))


def write_finished_run(folder, *, taxonomy=None, **shape):
    """Write an encoder into `folder`/base and the run of a network around it; return `folder`.

    The network has the risk types of `taxonomy`, or the built-in ones.
    """
    n_labels = len((taxonomy or built_in()).risk_types)
    base = with_base(write_encoder(folder / "base", **shape)).base
    network = base_network(base, n_labels=n_labels, dropout=0.1)
    tokenizer = base_tokenizer(base).tokenizer
    write_description(folder, network.config, tokenizer, taxonomy or built_in())
    save_state(str(model_path(folder)), network.state())
    return folder
