"""What "serving" and "next" mean: the model that serves now, and the first free version after it."""

import pytest

from ml import settings
from ml.versions import next_version, resolved
from service.config.settings import ROOT, load
from service.domain.audit import Actor
from service.errors import ConfigError
from service.server.startup import models_of
from tests.support.artifacts import NAME, SHIPPED, make_artifact

RETRAIN = ROOT / "ml/configs/retrain.toml"


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """The folder of a service's empty registry; the environment names it, and its database."""
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


def test_retraining_starts_from_the_shipped_model_while_none_was_activated(registry):
    assert not registry.exists()
    found = resolved(settings.load(RETRAIN))
    assert (found.artifact.name, found.artifact.version) == (NAME, "1.4.0")
    [start] = found.base.start
    assert ROOT / start == ROOT / found.artifact.calibration_of == SHIPPED


def test_retraining_again_starts_from_what_was_activated_under_another_version(registry, capsys):
    model = make_artifact(registry, "1.4.0")
    with models_of(load()) as models:
        models.activate(model, actor=Actor(operator="test"), why="For this test.", force=True)
    found = resolved(settings.load(RETRAIN))
    assert found.artifact.version == "1.5.0"
    assert found.base.start == [found.artifact.calibration_of] == [str(registry / model)]
    assert f"serving is {model}" in capsys.readouterr().out


def test_version_that_the_registry_has_is_refused_before_the_training(registry, tmp_path):
    make_artifact(registry, "1.4.0")
    text = RETRAIN.read_text().replace('version = "next"', 'version = "1.4.0"')
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(ConfigError, match='version = "next"'):
        resolved(settings.load(tmp_path / "mine.toml"))
