"""Train, export, calibrate and load, on a handful of composed sentences."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from ml.artifact.exporter import trained_state
from ml.artifact.manifest_writer import manifest_fields, write_manifest
from ml.corpus.dataset import load_dataset
from ml.settings import load
from ml.steps import calibrate, dataset, evaluate, export, train
from ml.training.checkpoints import discard_other_training, last_checkpoints
from service.errors import ArtifactError, ConfigError
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.drift_index import REFERENCE_FILE, read_reference
from tests.ml.tiny import write_config
from tests.support.adapters import write_base, write_calibrated_run
from tests.support.artifacts import SHIPPED


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return write_base(tmp_path_factory.mktemp("encoders") / "base")


@pytest.fixture(scope="module")
def start(tmp_path_factory, encoder) -> Path:
    """The folder of the artifact from which training starts; it has neighbour heads."""
    return load(write_calibrated_run(tmp_path_factory.mktemp("start"), encoder)).artifact_dir


@pytest.fixture(scope="module")
def settings(tmp_path_factory, encoder, start):
    folder = tmp_path_factory.mktemp("ml")
    recipe = {"start": f'["{start}"]', "keep": "0.5", "pooling": '"first"'}
    return load(write_config(folder, encoder=encoder, **recipe))


@pytest.fixture(scope="module")
def exported(settings) -> Path:
    """The folder of an artifact that was trained and exported, not calibrated."""
    dataset.run(settings)
    train.run(settings)
    export.run(settings)
    return Path(shutil.copytree(settings.artifact_dir, settings.run_dir / "uncalibrated"))


@pytest.fixture(scope="module")
def calibrated(settings, exported) -> Path:  # noqa: ARG001 - the artifact has to be there
    """The folder of an artifact after every step."""
    calibrate.run(settings)
    evaluate.run(settings)
    return settings.artifact_dir


def test_pipeline_artifact_serves(calibrated: Path):
    analyzer = LocalAnalyzer.open(calibrated, device="cpu", n_threads=1)
    assert analyzer.score(["The vendor may fail.", "Lunch is at noon."]).shape == (2, 37)
    analyzer.close()


def test_calibration_of_another_artifact_is_copied(settings, exported: Path, tmp_path: Path):
    folder = shutil.copytree(exported, tmp_path / "model")
    recipe = replace(settings.artifact, folder=str(folder), calibration_of=str(SHIPPED))
    calibrate.run(replace(settings, artifact=recipe))
    ours, theirs = artifacts.load(folder).manifest, artifacts.load(SHIPPED).manifest
    assert (ours.temperature, ours.bias) == (theirs.temperature, theirs.bias)
    for name, point in theirs.operating_points.items():
        assert ours.operating_points[name].risk_threshold == point.risk_threshold
        assert (ours.operating_points[name].thresholds == point.thresholds).all()


def test_calibration_drops_an_exit_chosen_for_other_thresholds(
    settings, exported: Path, tmp_path: Path
):
    folder = Path(shutil.copytree(exported, tmp_path / "model"))
    write_manifest(
        folder, manifest_fields(folder) | {"early_exit": {"leave_below": {"recall": -2.0}}}
    )
    assert "early_exit" in manifest_fields(folder)
    calibrate.run(replace(settings, artifact=replace(settings.artifact, folder=str(folder))))
    assert "early_exit" not in manifest_fields(folder)


def test_uncalibrated_artifact_is_refused(exported: Path):
    with pytest.raises(ArtifactError, match="-m ml calibrate"):
        LocalAnalyzer.open(exported, device="cpu", n_threads=1)


def test_pipeline_writes_figures_card_and_drift_reference(calibrated: Path):
    manifest = artifacts.load(calibrated).manifest
    assert manifest.metrics
    assert read_reference(calibrated / REFERENCE_FILE).n_sentences == 24
    card = (calibrated / "README.md").read_text()
    assert len(card) > 1_000
    assert "No baselines were measured" in card


@pytest.mark.usefixtures("calibrated")
def test_training_with_other_sentences_starts_over(settings, capsys):
    checkpoints = list(settings.run_dir.glob("seed-*"))
    data = load_dataset(settings.data)
    discard_other_training(settings, data.fingerprint)
    assert all(path.is_file() for path in checkpoints)
    recipe = settings.run_dir / "recipe.json"
    before = recipe.read_text()
    other = settings.run_dir / "other"
    shutil.copytree(settings.run_dir, other, ignore=shutil.ignore_patterns("other"))
    elsewhere = replace(settings, train=replace(settings.train, run=str(other)))
    discard_other_training(elsewhere, "another")
    assert "it is deleted" in capsys.readouterr().out
    assert not list(other.glob("seed-*"))
    assert recipe.read_text() == before


def test_pipeline_records_data_and_base(calibrated: Path, settings):
    manifest = artifacts.load(calibrated).manifest
    summary = json.loads((settings.run_dir / "dataset.json").read_text())
    assert manifest.dataset_fingerprint == summary["fingerprint"]
    assert manifest.base_model["sha256"] == settings.base.sha256
    assert {"LICENSE", "NOTICE", "README.md"} <= manifest.files.keys()


def test_export_before_training_names_the_missing_step(tmp_path: Path):
    with pytest.raises(ConfigError, match="-m ml train"):
        trained_state(tmp_path)


def test_average_of_an_unfinished_training_names_the_missing_step(settings, tmp_path: Path):
    with pytest.raises(ConfigError, match="-m ml train"):
        last_checkpoints(tmp_path, settings.train)
