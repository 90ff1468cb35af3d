"""The command that registers a candidate: what it measures, refuses and writes."""

import pytest

from service.config.settings import ROOT
from service.nlp.artifacts.registry import Registry
from tests.ml.step import run_step
from tests.ml.tiny import write_config
from tests.support.artifacts import NAME, SHIPPED, damage, make_artifact

DATA = ROOT / "ml/data/authored-d.jsonl"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The shipped model, one that hardly finds anything, and an overconfident one."""
    folder = tmp_path_factory.mktemp("candidates")
    make_artifact(folder, "2.0.0")
    make_artifact(folder, "0.1.0", risk_threshold=0.9999)
    make_artifact(folder, "0.2.0", sharpness=6.0)
    return folder / NAME


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run `python -m ml register` with an empty registry."""
    monkeypatch.setenv("REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    monkeypatch.delenv("RISKSCAN_DATA", raising=False)  # a developer's own sentences

    return lambda *arguments: run_step("register", *arguments)


def test_register_a_better_model_enters_the_registry(run, folders, tmp_path):
    done = run(
        folders / "2.0.0", "--data", DATA, "--against", folders / "0.1.0",
        "--max-calibration-error", "1",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(
        f"Against {NAME}/0.1.0 in {folders / '0.1.0'} (as --against says)."
    )
    assert "passed" in done.stdout
    registry = Registry(tmp_path / "registry", SHIPPED)
    entry = registry.entry(f"{NAME}/2.0.0")
    assert entry.fault is None
    assert (entry.gate.passed, entry.gate.against) == (True, f"{NAME}/0.1.0")
    assert entry.gate.manifest_sha256 == entry.manifest_sha256
    assert entry.gate.figures["differences"]["mean_f1"]["low"] > 0
    assert len(entry.gate.data_fingerprint) == 64
    assert {p.name for p in (tmp_path / "registry" / NAME).iterdir()} == {
        "2.0.0",
        "2.0.0.gate.json",
    }


RETRAIN = ROOT / "ml/configs/retrain.toml"
CALIBRATION = ROOT / "ml/data/calibration.jsonl"
GOLDEN = ROOT / "ml/data/golden.jsonl"
"""What `make retrain` measures on, with CALIBRATION. The shipped model's own calibration error is 0.128."""


def test_register_an_equal_of_the_serving_model_passes_the_gate_of_make_retrain(run, folders):
    done = run(folders / "2.0.0", "--data", GOLDEN, "--against", SHIPPED)
    assert done.exit_code == 0, done.output
    error = float(done.stdout.partition("calibration error ")[2].partition(",")[0])
    assert error == pytest.approx(0.128, abs=0.0015)  # the third digit depends on the processor


@pytest.mark.parametrize(
    ("version", "reason"),
    [("0.1.0", "may lose 2 points"), ("0.2.0", "calibration error")],
    ids=["finds hardly anything", "is far too sure"],
)
def test_register_a_damaged_model_is_refused_by_the_gate_of_make_retrain(
    run, folders, version, reason
):
    done = run(folders / version, "--data", GOLDEN, "--against", SHIPPED)
    assert "was not registered" in done.stderr
    assert reason in done.stdout


@pytest.mark.parametrize(
    ("calibration_of", "n_sentences"), [("", 30), ("serving", 50)], ids=["own", "taken over"]
)
def test_register_skips_the_file_that_the_thresholds_were_chosen_on(
    run, folders, tmp_path, calibration_of, n_sentences
):
    lines = GOLDEN.read_text().splitlines(keepends=True)
    golden, dev = tmp_path / "golden.jsonl", tmp_path / "dev.jsonl"
    golden.write_text("".join(lines[:30]))
    values = {"calibration_of": f'"{calibration_of}"', "folder": f'"{folders / "2.0.0"}"'}
    config = write_config(tmp_path, **values)
    dev.write_text("".join(lines[30:50]))  # in place of the configuration's own
    done = run(config, "--data", golden, dev, "--against", SHIPPED)
    assert f"{n_sentences} sentences of" in done.stdout
    assert ("dev.jsonl, on which its thresholds were chosen." in done.stdout) is (
        not calibration_of
    )


def test_register_skips_a_file_that_trained_the_model(run, folders, tmp_path):
    config = write_config(tmp_path, folder=f'"{folders / "2.0.0"}"')
    trained = tmp_path / "train.jsonl"
    done = run(config, "--data", GOLDEN, trained, "--against", SHIPPED)
    assert f"Left out: {trained}, which trained the model." in done.stdout
    refused = run(config, "--data", trained, "--against", SHIPPED)
    assert f"{trained}, which trained the model. Name other sentences" in refused.stderr


def test_register_with_only_that_file_is_refused(run, tmp_path):
    text = RETRAIN.read_text().replace('calibration_of = "serving"', 'calibration_of = ""')
    (tmp_path / "mine.toml").write_text(text)
    done = run(tmp_path / "mine.toml", "--data", CALIBRATION, "--against", SHIPPED)
    assert "Name other sentences with --data" in done.stderr


def test_register_a_worse_model_is_refused_with_reasons_unless_forced(run, folders, tmp_path):
    arguments = (folders / "0.1.0", "--data", DATA, "--against", folders / "2.0.0")
    done = run(*arguments)
    assert "was not registered" in done.stderr
    assert "may lose 2 points" in done.stdout
    assert not (tmp_path / "registry").exists()
    done = run(*arguments, "--force", "--why", "To be shadowed only.")
    assert done.exit_code == 0
    gate = Registry(tmp_path / "registry", SHIPPED).gate_record(f"{NAME}/0.1.0")
    assert (gate.passed, gate.forced, gate.why) == (False, True, "To be shadowed only.")
    assert len(gate.reasons) >= 1


def test_register_an_altered_artifact_is_refused(tmp_path, run):
    damage(tmp_path, make_artifact(tmp_path, "3.0.0"))
    done = run(tmp_path / NAME / "3.0.0", "--data", DATA)
    assert (done.exit_code, "was altered" in done.stderr) == (1, True)


def test_register_the_serving_model_against_itself_is_refused(run):
    done = run(SHIPPED, "--data", DATA, "--against", SHIPPED)
    assert "against itself" in done.stderr


def test_force_without_a_reason_is_refused(run):
    done = run(SHIPPED, "--data", DATA, "--force", "--why", "because")
    assert done.exit_code == 2
