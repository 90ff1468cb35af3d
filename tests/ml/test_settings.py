"""One file says everything a run depends on; a wrong key is named."""

from pathlib import Path

import pytest

from ml import settings
from service.config import ROOT, load
from service.errors import ConfigError

SHIPPED = ROOT / "ml/configs/riskscan-minilm.toml"


def test_shipped_file_loads():
    loaded = settings.load(SHIPPED)
    assert loaded.artifact_dir == load({}).model_dir
    assert loaded.train.batch_size == 32


def test_missing_file_names_an_example(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"riskscan-minilm\.toml"):
        settings.load(tmp_path / "none.toml")


def test_file_that_is_no_toml_says_so(tmp_path: Path):
    (tmp_path / "x.toml").write_text("[train")
    with pytest.raises(ConfigError, match="is no TOML"):
        settings.load(tmp_path / "x.toml")


@pytest.mark.parametrize(
    ("old", "new"), [("batch_size = 32", ""), ("batch_size = 32", "batch_size = 32\nbatchsize = 4")]
)
def test_key_too_few_or_too_many_is_named(tmp_path: Path, old: str, new: str):
    (tmp_path / "x.toml").write_text(SHIPPED.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=r"\[train\].*batch"):
        settings.load(tmp_path / "x.toml")
