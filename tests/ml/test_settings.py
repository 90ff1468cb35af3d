"""The configuration file: its paths, and the faults it reports."""

from pathlib import Path

import pytest

from ml import settings
from service.config.settings import ROOT
from service.errors import ConfigError

CONFIGS = sorted((ROOT / "ml/configs").glob("*.toml"))
SHIPPED = ROOT / "ml/configs/retrain.toml"
each_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


@each_config
def test_configuration_needs_only_files_of_the_repository(path: Path, monkeypatch):
    monkeypatch.delenv("RISKSCAN_DATA", raising=False)
    data = settings.load(path).data
    names = [*data.authored, *data.real, *data.second_readings, *data.dev_sets, data.kinds]
    assert [name for name in names if not (ROOT / name).is_file()] == []
    assert not any(Path(name).is_absolute() or ".." in name for name in names)


@each_config
def test_configuration_with_riskscan_data_uses_its_real_sentences(
    path: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("RISKSCAN_DATA", str(tmp_path))
    data = settings.load(path).data
    assert str(tmp_path / "real-train.jsonl") in data.real
    assert data.dev_sets == [str(tmp_path / f"real-{name}.jsonl") for name in ("dev", "dev2")]


def test_missing_riskscan_data_folder_is_reported(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("RISKSCAN_DATA", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="RISKSCAN_DATA is not a folder"):
        settings.load(SHIPPED)


def test_dev_only_in_an_unset_riskscan_data_is_reported(tmp_path: Path, monkeypatch):
    monkeypatch.delenv("RISKSCAN_DATA", raising=False)
    text = SHIPPED.read_text().replace(
        'dev_fallback = ["ml/data/calibration.jsonl"]', "dev_fallback = []"
    )
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"\[data\]: every path of dev .* which is not set"):
        settings.load(tmp_path / "x.toml")


@each_config
def test_configuration_exports_into_its_run_and_takes_the_next_version(path: Path):
    loaded = settings.load(path)
    assert loaded.run_dir in loaded.artifact_dir.parents
    assert loaded.artifact.version == settings.NEXT


def test_missing_file_names_an_example(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"retrain\.toml"):
        settings.load(tmp_path / "none.toml")


def test_file_that_is_not_toml_is_reported(tmp_path: Path):
    (tmp_path / "x.toml").write_text("[train")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        settings.load(tmp_path / "x.toml")


@pytest.mark.parametrize(
    ("old", "new"), [("batch_size = 32", ""), ("batch_size = 32", "batch_size = 32\nbatchsize = 4")]
)
def test_missing_or_unknown_key_is_named(tmp_path: Path, old: str, new: str):
    (tmp_path / "x.toml").write_text(SHIPPED.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=r"\[train\].*batch"):
        settings.load(tmp_path / "x.toml")


def test_all_faults_are_named_at_once_with_file_table_and_key(tmp_path: Path):
    text = (
        SHIPPED.read_text().replace("epochs = 2", 'epochs = "two"', 1).replace("[base]", "[bass]")
    )
    (tmp_path / "x.toml").write_text(text.replace("keep = 0.5", "keep = 1.0"))
    with pytest.raises(ConfigError) as caught:
        settings.load(tmp_path / "x.toml")
    message = caught.value.message
    assert message.startswith(f"{tmp_path}/x.toml: unknown table [bass]; [base] lacks model; ")
    assert "[train] epochs: input should be a valid integer" in message
    assert "[train] keep: input should be less than 1" in message


def test_more_checkpoints_to_average_than_there_are_is_reported(tmp_path: Path):
    text = SHIPPED.read_text().replace("n_averaged = 2", "n_averaged = 5")
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"\[train\]: n_averaged is over n_checkpoints"):
        settings.load(tmp_path / "x.toml")


def test_value_of_another_type_is_not_converted(tmp_path: Path):
    (tmp_path / "x.toml").write_text(SHIPPED.read_text().replace("folds = 0", "folds = false"))
    with pytest.raises(ConfigError, match=r"\[train\] folds"):
        settings.load(tmp_path / "x.toml")
