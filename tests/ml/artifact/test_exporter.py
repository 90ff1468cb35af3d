"""An export replaces only an earlier export of the same run."""

import shutil

import pytest

from ml.artifact.exporter import check_replaceable
from ml.artifact.manifest_writer import load_export
from service.errors import ConfigError
from tests.support.artifacts import SHIPPED


@pytest.fixture(autouse=True)
def registry(monkeypatch, tmp_path):
    monkeypatch.setenv("REGISTRY_DIR", str(tmp_path / "runs/registry"))
    return tmp_path / "runs/registry"


def test_export_may_write_a_new_folder_and_replace_its_own(tmp_path):
    run = tmp_path / "runs/mine"
    check_replaceable(run / "model", run=run)
    (run / "model").mkdir(parents=True)
    check_replaceable(run / "model", run=run)
    shutil.copy(SHIPPED / "manifest.json", run / "model")
    check_replaceable(run / "model", run=run)


def test_export_refuses_the_shipped_model(tmp_path):
    with pytest.raises(ConfigError, match="stays as it is"):
        check_replaceable(SHIPPED, run=tmp_path / "runs/mine")


def test_export_refuses_a_registered_model_inside_its_run(tmp_path, registry):
    folder = registry / "m/1.0.0"
    folder.mkdir(parents=True)
    shutil.copy(SHIPPED / "manifest.json", folder)
    with pytest.raises(ConfigError, match="stays as it is"):
        check_replaceable(folder, run=tmp_path / "runs")


def test_export_refuses_a_folder_of_other_files(tmp_path):
    run = tmp_path / "runs/mine"
    run.mkdir(parents=True)
    (run / "seed-1-checkpoint-1.safetensors").touch()
    with pytest.raises(ConfigError, match=str(run / "model")):
        check_replaceable(run, run=run)


def test_step_after_a_missing_export_names_the_export(tmp_path):
    with pytest.raises(ConfigError, match="-m ml export CONFIG"):
        load_export(tmp_path)
