""" "serving" resolves to the serving model, "next" to the next free version."""

from pathlib import Path

import pytest

from db import migrate
from ml import settings
from ml.versions import next_version, resolve, serving_folder
from service.cli.services import open_services
from service.config.settings import ROOT, load
from service.domain.audit import Actor
from service.errors import ConfigError, NotFound
from tests.support.artifacts import NAME, SHIPPED, make_artifact

RETRAIN = ROOT / "ml/configs/retrain.toml"


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """The folder of an empty registry, set in the environment like its database."""
    monkeypatch.setenv("REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'riskscan.db'}")
    return tmp_path / "registry"


@pytest.mark.parametrize(
    ("models", "version"),
    [
        ([], "1.0.0"),
        (["m/1.3.1"], "1.4.0"),
        (["m/1.9.0", "m/1.10.2", "m/2.0.0-first", "other/7.0.0"], "1.11.0"),
    ],
    ids=["none yet", "after the only one", "as numbers, of this name alone"],
)
def test_next_version_is_the_minor_version_after_the_highest(models, version):
    assert next_version("m", models) == version


def test_resolve_without_activation_starts_from_the_shipped_model(registry):
    assert not registry.exists()
    found = resolve(settings.load(RETRAIN))
    following = next_version(NAME, [f"{NAME}/{SHIPPED.name}"])
    assert (found.artifact.name, found.artifact.version) == (NAME, following)
    [start] = found.base.start
    assert ROOT / start == ROOT / found.artifact.calibration_of == SHIPPED


@pytest.fixture(scope="module")
def activated(tmp_path_factory):
    """Settings of a service that serves version 7.0.0 of its registry; tests only read it."""
    folder = tmp_path_factory.mktemp("activated")
    database_url = f"sqlite:///{folder / 'riskscan.db'}"
    config = load({"DATABASE_URL": database_url, "REGISTRY_DIR": str(folder / "models")})
    model = make_artifact(config.registry_dir, "7.0.0")
    with open_services(config) as services:
        services.deployments.activate(
            model, actor=Actor(operator="test"), why="For this test.", force=True
        )
    return config


def test_resolve_after_activation_starts_from_the_activated_model(activated, monkeypatch, capsys):
    monkeypatch.setenv("REGISTRY_DIR", str(activated.registry_dir))
    monkeypatch.setenv("DATABASE_URL", activated.database_url)
    found = resolve(settings.load(RETRAIN))
    model = f"{NAME}/7.0.0"
    assert found.artifact.version == "7.1.0"
    assert found.base.start == [found.artifact.calibration_of]
    assert found.base.start == [str(activated.registry_dir / model)]
    assert f"serving is {model}" in capsys.readouterr().out


def test_resolve_version_in_the_registry_is_refused(registry, tmp_path):
    make_artifact(registry, "7.0.0")
    text = RETRAIN.read_text().replace('version = "next"', 'version = "7.0.0"')
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError, match='version = "next"'):
        resolve(settings.load(tmp_path / "mine.toml"))


@pytest.fixture
def config(tmp_path):
    """Settings of a service whose registry has one model; its database does not exist yet."""
    make_artifact(tmp_path / "models", "0.1.0")
    database_url = f"sqlite:///{tmp_path / 'riskscan.db'}"
    return load({"DATABASE_URL": database_url, "REGISTRY_DIR": str(tmp_path / "models")})


def test_serving_folder_is_the_model_activated_last(activated):
    folder = activated.registry_dir / NAME / "7.0.0"
    assert serving_folder(activated) == (folder, "it was activated last")


@pytest.mark.system
def test_serving_folder_without_activation_is_the_default(config):
    assert serving_folder(config)[0] == config.model_dir
    assert not Path(config.database_url.removeprefix("sqlite:///")).exists()
    migrate.upgrade(config.database_url)
    assert serving_folder(config) == (
        config.model_dir,
        "the default model, since no model was activated",
    )


def test_serving_folder_without_schema_is_the_default_with_the_reason(config):
    Path(config.database_url.removeprefix("sqlite:///")).touch()
    folder, why = serving_folder(config)
    assert folder == config.model_dir
    assert "service db upgrade" in why


def test_serving_folder_of_a_missing_model_is_an_error(activated, tmp_path):
    with pytest.raises(NotFound, match=f"{NAME}/7.0.0"):
        serving_folder(activated.model_copy(update={"registry_dir": tmp_path / "elsewhere"}))


def test_serving_folder_with_the_database_away_is_the_default_with_the_reason(config):
    away = config.model_copy(update={"database_url": "mysql+pymysql://u:p@127.0.0.1:1/none"})
    folder, why = serving_folder(away)
    assert folder == config.model_dir
    assert "The database does not answer" in why
