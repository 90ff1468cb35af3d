"""The last layer trains alone: the rest of the network, and the influence of neighbours, stay."""

from dataclasses import replace

import pytest
import torch
from safetensors.numpy import load_file

from ml import settings
from ml.corpus.dataset import load_dataset
from ml.settings import load
from ml.training.batches import encode, model_logits, pooled_vectors
from ml.training.last_layer import LastLayer, first_vectors, freeze_below
from ml.training.teachers import softened
from ml.training.trained_models import network_with, starting_network
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.network import Network
from service.nlp.inference.network_config import NetworkConfig
from tests.ml.step import run_step
from tests.ml.tiny import write_config
from tests.support.artifacts import SHIPPED
from tests.support.encoders import write_encoder

RECIPE = replace(settings.load(ROOT / "ml/configs/retrain.toml").train, bfloat16=False)
IDS = [[2, 9, 30, 7, 3], [2, 12, 3], [2, 5, 6, 7, 8, 9, 3]]
LAST = {
    "layers.5.ffn_in.weight",
    "layers.5.ffn_in.bias",
    "layers.5.ffn_out.weight",
    "layers.5.ffn_out.bias",
    "layers.5.ffn_norm.weight",
    "layers.5.ffn_norm.bias",
    "head.weight",
    "head.bias",
}
HEADS_OF_NEIGHBOURS = {"influence.weight", "influence.bias"}


def network(architecture, pooling="first"):
    torch.manual_seed(3)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "n_layers": 2, "n_heads": 4}
    config = NetworkConfig(
        3, vocab_size=50, dropout=0.3, architecture=architecture, pooling=pooling, **sizes
    )
    model = Network(config)
    torch.nn.init.normal_(model.head.weight)
    return model


@pytest.mark.parametrize("architecture", ["bert", "mpnet"])
def test_last_layer_computes_what_the_whole_network_computes(architecture):
    model = network(architecture)
    read = first_vectors(model, IDS, RECIPE)
    logits, projected = LastLayer(model).eval()(read)
    assert torch.allclose(logits, model_logits(model, IDS), atol=1e-5)
    assert logits.abs().max() > 0.1
    assert projected.shape == (3, 0)


def test_mean_pooling_cannot_train_the_last_layer_alone():
    with pytest.raises(ConfigError, match=r'pooling = "first": set it to "all"'):
        freeze_below(network("bert", pooling="mean"))


def test_settings_that_change_a_sentence_are_refused(tmp_path):
    config = write_config(tmp_path, trained_part='"last"', vary_share="0.3", mask_share="0.1")
    with pytest.raises(ConfigError, match="does not support vary_share, mask_share"):
        load(config)


def test_mean_pooling_is_refused_before_an_earlier_training_is_deleted(tmp_path):
    encoder = write_encoder(tmp_path / "encoder", "mpnet")
    config = write_config(tmp_path, encoder=encoder, trained_part='"last"', pooling='"mean"')
    checkpoint = tmp_path / "run/seed-17-checkpoint-1.safetensors"
    checkpoint.parent.mkdir()
    checkpoint.touch()
    (tmp_path / "run/recipe.json").write_text('{"train": {}, "base": {}}')
    done = run_step("train", config)
    assert (done.exit_code, 'pooling = "first"' in done.stderr) == (1, True)
    assert checkpoint.is_file()


def test_slope_without_teachers_is_an_error(tmp_path):
    encoder = write_encoder(tmp_path / "encoder", "mpnet")
    done = run_step("train", write_config(tmp_path, encoder=encoder, teacher_slope="0.5"))
    assert (done.exit_code, "teacher_slope needs teachers" in done.stderr) == (1, True)


def test_softened_logits_rise_less_above_the_bend():
    logits = torch.tensor([-3.0, -1.0, 0.0, 3.0])
    recipe = replace(RECIPE, teacher_bend=-1.0, teacher_slope=0.5)
    assert softened(logits, recipe).tolist() == [-3.0, -1.0, -0.5, 1.0]
    assert torch.equal(softened(logits, RECIPE), logits)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The configuration of a finished training of the shipped model's last layer."""
    config = write_config(
        tmp_path_factory.mktemp("last"),
        n_train=80,
        trained_part='"last"',
        start=f'["{SHIPPED}"]',
        pooling='"first"',
        sentence_form='"bare"',
        encoder_lr="2e-3",
        batch_size="20",
        epochs="2",
        decay_epochs="2",
    )
    done = run_step("train", config)
    assert done.exit_code == 0, done.stderr
    return config


def test_training_changes_only_the_last_layer_and_the_heads(trained):
    before = starting_network(load(trained)).state()
    after = load_file(trained.parent / "run/model.safetensors")
    assert before.keys() == after.keys()
    changed = {name for name in before if (before[name].numpy() != after[name]).any()}
    assert changed == LAST | HEADS_OF_NEIGHBOURS


def test_sentences_keep_their_influence_on_neighbours(trained):
    start = starting_network(load(trained))
    after = load_file(trained.parent / "run/model.safetensors")
    model = network_with({n: torch.from_numpy(v) for n, v in after.items()}, start.config)
    texts = [e.text for e in load_dataset(load(trained).data).train]
    ids = encode(artifacts.load(SHIPPED).tokenizer(), texts, 128)
    unit = [torch.nn.functional.normalize(pooled_vectors(n, ids), dim=1) for n in (start, model)]
    with torch.inference_mode():
        before, now = start.influence(unit[0]), model.influence(unit[1])
        unfitted = start.influence(unit[1])
    lost, without = (now - before).square().mean(), (unfitted - before).square().mean()
    assert lost < 0.1 * without
