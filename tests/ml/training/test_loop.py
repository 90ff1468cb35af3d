"""Training resumes after a kill, runs in several processes, learns from teachers, records measurements."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from ml.corpus.dataset import load_dataset
from ml.settings import load
from ml.training import cross_fitting
from ml.training.batches import in_bfloat16, model_logits
from ml.training.inputs import Inputs
from ml.training.loop import plan
from ml.training.run_result import mean_of_seeds
from ml.training.trained_models import starting_network
from service.config.settings import ROOT
from service.errors import ConfigError
from tests.ml.runs import write_finished_run
from tests.ml.step import run_step
from tests.ml.tiny import write_config
from tests.support.encoders import write_encoder

EVERYTHING = {
    "lora_rank": "2",
    "gradient_accumulation": "2",
    "gradient_checkpointing": "true",
    "vary_share": "0.5",
    "mask_share": "0.1",
    "pooling": '"first"',
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return write_encoder(tmp_path_factory.mktemp("encoders") / "mpnet", "mpnet")


@pytest.fixture(scope="module")
def everything(tmp_path_factory) -> dict[str, str]:
    """The settings that a plain training leaves off."""
    run = write_finished_run(tmp_path_factory.mktemp("teachers") / "run")
    return EVERYTHING | {"teachers": f'["{run}"]', "teacher_weight": "0.4", "vector_weight": "0.5"}


@pytest.fixture
def config(tmp_path: Path, encoder: Path) -> Path:
    """The retraining recipe over 24 sentences in batches of 4, from a small encoder."""
    return write_config(tmp_path, encoder=encoder)


def trained(config: Path, *, environ=None, launcher=()) -> subprocess.CompletedProcess:
    command = [sys.executable, *launcher, "-m", "ml", "train", str(config)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | (environ or {}),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory, encoder: Path) -> Path:
    """The configuration of an undisturbed training that was reported to MLflow."""
    folder = tmp_path_factory.mktemp("whole")
    config = write_config(folder, encoder=encoder)
    store = (folder / "tracking").as_uri()
    environ = {"MLFLOW_TRACKING_URI": store, "MLFLOW_ALLOW_FILE_STORE": "true"}
    done = trained(config, environ=environ)
    assert done.returncode == 0, done.stderr
    return config


def weights(config: Path):
    return load_file(config.parent / "run/model.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("is_plain", [True, False], ids=["plain", "everything"])
def test_killed_training_resumes_to_the_same_weights(
    encoder, everything, is_plain, tmp_path_factory
):
    long = {"epochs": "30", "decay_epochs": "30", **({} if is_plain else everything)}
    folders = [tmp_path_factory.mktemp(name) for name in ("whole", "killed")]
    whole = write_config(folders[0], encoder=encoder, **long)
    killed = write_config(folders[1], encoder=encoder, save_every_min="0.0", **long)
    assert run_step("train", whole).exit_code == 0
    kill_after_first_save(killed)
    second = run_step("train", killed)
    assert second.exit_code == 0, second.stderr
    assert "resuming at step" in second.stdout
    assert not resume_file(killed).is_file()
    one, other = weights(whole), weights(killed)
    assert all((one[name] == other[name]).all() for name in one)


def resume_file(config: Path) -> Path:
    return config.parent / "run/seed-17-resume.safetensors"


def kill_after_first_save(config: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ml", "train", str(config)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 300
    while not resume_file(config).is_file() and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (config.parent / "run/model.safetensors").is_file(), "killed too late to tell"


def test_training_with_fewer_steps_than_checkpoints_is_refused_at_once(config: Path):
    config.write_text(config.read_text().replace("n_checkpoints = 2", "n_checkpoints = 9"))
    done = run_step("train", config)
    assert "6 steps, too few for 9 checkpoints" in done.stderr


def test_damaged_resume_file_names_the_remedy(config: Path):
    (config.parent / "run").mkdir()
    (config.parent / "run/seed-17-resume.safetensors").write_bytes(b"half")
    done = run_step("train", config)
    assert (done.exit_code, "delete it to start over" in done.stderr) == (1, True)


@pytest.mark.system
def test_training_writes_metrics_and_curves_and_reports_to_mlflow(whole: Path):
    run = whole.parent / "run"
    measured = json.loads((run / "seed-17.json").read_text())
    assert [row["step"] for row in measured["checkpoints"]] == [3, 6]
    assert all(row["dev_loss"] > 0 for row in measured["checkpoints"])
    assert (run / "seed-17.svg").read_text().startswith("<?xml")
    assert (run / "seed-17.png").read_bytes().startswith(b"\x89PNG")
    (metric,) = whole.parent.glob("tracking/*/*/metrics/dev_loss")
    assert len(metric.read_text().splitlines()) == 2


@pytest.mark.slow
def test_training_in_two_processes_shares_the_batches(config: Path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = trained(config, launcher=launcher)
    assert done.returncode == 0, done.stderr
    measured = json.loads((config.parent / "run/seed-17.json").read_text())
    assert measured["checkpoints"][-1]["step"] == 3  # 6 batches, two at a time
    assert weights(config)["head.weight"].any()


def test_training_with_everything_learns_and_writes_plain_weights(
    encoder: Path, everything, tmp_path: Path
):
    config = write_config(tmp_path, encoder=encoder, epochs="4", **everything)
    done = run_step("train", config)
    assert done.exit_code == 0, done.stderr
    measured = json.loads((tmp_path / "run/seed-17.json").read_text())
    assert [row["step"] for row in measured["checkpoints"]] == [6, 12]  # 24 batches, two a step
    settings = load(config)
    before, after = starting_network(settings).state(), weights(config)
    assert before.keys() == after.keys()
    assert (before["words.weight"].numpy() == after["words.weight"]).all()
    assert (before["layers.0.qkv.weight"].numpy() != after["layers.0.qkv.weight"]).any()


def test_plan_takes_a_share_of_the_sentences_without_risk():
    recipe = replace(
        load(ROOT / "ml/configs/riskscan-fast.toml").train,
        epochs=2,
        negatives_share=0.5,
        batch_size=4,
    )
    inputs = Inputs([[101, 102]] * 20, torch.zeros(20, 37), [], torch.zeros(0, 37))
    inputs.optional_rows = list(range(10))
    rows = [row for batch in plan(inputs, recipe, 1, shares=1) for row in batch]
    assert len(rows) == 2 * 15
    assert all(rows.count(row) == 2 for row in range(10, 20))
    first = [r for b in plan(inputs, recipe, 1, shares=1)[:4] for r in b if r < 10]
    assert len(set(first)) == 5


def test_plan_takes_a_share_of_the_composed_sentences():
    recipe = load(ROOT / "ml/configs/riskscan-fast.toml").train
    recipe = replace(recipe, epochs=2, composed_share=0.25, batch_size=4)
    inputs = Inputs([[101, 102]] * 20, torch.zeros(20, 37), [], torch.zeros(0, 37))
    inputs.composed_rows = list(range(8))
    rows = [row for batch in plan(inputs, recipe, 1, shares=1) for row in batch]
    assert sum(row < 8 for row in rows) == 2 * 2
    assert all(rows.count(row) == 2 for row in range(8, 20))


def test_seeds_trained_apart_have_the_result_of_one_command(encoder: Path, tmp_path: Path):
    recipe = {"seeds": "[17, 18]", "epochs": "1"}
    folders = [tmp_path / "apart", tmp_path / "together"]
    for folder in folders:
        folder.mkdir()
    apart, together = (write_config(f, encoder=encoder, **recipe) for f in folders)
    for arguments in (["--seed", "18"], ["--seed", "17"], []):
        done = run_step("train", apart, *arguments)
        assert done.exit_code == 0, done.stderr
        assert (apart.parent / "run/model.safetensors").is_file() == (not arguments)
    done = run_step("train", together)
    assert done.exit_code == 0, done.stderr
    first, second = weights(apart), weights(together)
    assert all((first[name] == second[name]).all() for name in first)


def test_seed_that_the_recipe_lacks_is_an_error(config: Path):
    done = run_step("train", config, "--seed", "5")
    assert done.exit_code == 1
    assert "has no seed 5" in done.stderr


def test_plan_excludes_the_held_out_fold():
    recipe = replace(
        load(ROOT / "ml/configs/riskscan-fast.toml").train, seeds=[1, 2], folds=2, batch_size=4
    )
    inputs = Inputs([[101, 102]] * 20, torch.zeros(20, 37), [], torch.zeros(0, 37))
    inputs.fold[::2] = 1
    rows = [row for batch in plan(inputs, recipe, 2, shares=1) for row in batch]
    assert set(rows) == set(range(1, 20, 2))
    with pytest.raises(ConfigError, match="3 seeds for 2 folds"):
        plan(inputs, replace(recipe, seeds=[1, 2, 3]), 2, shares=1)


def test_teacher_of_held_out_sentences_uses_cross_fitted_scores(encoder: Path, tmp_path: Path):
    recipe = {"seeds": "[17, 18]", "folds": "2", "n_checkpoints": "1", "n_averaged": "1"}
    recipe |= {"epochs": "10", "decay_epochs": "10", "head_lr": "0.05"}
    config = write_config(tmp_path, encoder=encoder, **recipe)
    done = run_step("train", config)
    assert done.exit_code == 0, done.stderr
    settings = load(config)
    dataset = load_dataset(settings.data)
    fold = cross_fitting.document_folds(dataset.train, 2)
    assert set(fold) == {0, 1}
    scores = cross_fitting.read(settings.run_dir)
    held = np.array([scores[cross_fitting.digest(e.text)] for e in dataset.train])

    recipe = replace(settings.train, teachers=[str(settings.run_dir)], teacher_weight=1.0, folds=0)
    inputs = Inputs.read(replace(settings, train=recipe), dataset)
    assert np.abs(inputs.y.numpy() - 1 / (1 + np.exp(-held))).max() < 1e-6
    for seed, left_out in ((17, 0), (18, 1)):
        model = starting_network(settings)
        model.load_state(mean_of_seeds(settings, model, [seed]))
        now = model_logits(model, inputs.ids, bfloat16=in_bfloat16(recipe)).numpy()
        own = np.abs(now - held).max(axis=1)
        assert own[fold == left_out].max() < 0.02
        assert own[fold != left_out].mean() > 0.02
