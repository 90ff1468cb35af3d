"""What the gate lets through, and what registering writes."""

import json
from pathlib import Path

import numpy as np
import pytest

from db import migrate
from ml.evaluation.paired_comparison import Difference
from ml.evaluation.promotion_gate import CategoryFigures, Figures, Limits, Scored, measure, refusals
from ml.steps import register
from ml.versions import serving_folder
from service.config.settings import ROOT, load
from service.domain.audit import Actor
from service.errors import ArtifactError, NotFound
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.registry import Registry
from service.nlp.taxonomy import CATEGORIES, RISK_TYPES
from service.server.startup import models_of
from tests.support.artifacts import NAME, SHIPPED, damage, make_artifact

DATA = ROOT / "ml/data/authored-d.jsonl"
BETTER = Difference(value=0.04, low=0.01, high=0.07, p_better=0.99)


def figures(mean=BETTER, *, calibration_errors=(0.04, 0.04), **category):
    """Figures of equal categories but for the first; the calibration error of candidate and serving model."""
    found = {c: CategoryFigures(30, 0.5, 0.5, -0.02, 0.02) for c in CATEGORIES}
    if category:
        found[CATEGORIES[0]] = CategoryFigures(serving_f1=0.5, low=-0.2, **category)
    return Figures(600, 60, {"mean_f1": mean}, found, *calibration_errors)


def test_gate_lets_a_surely_better_model_through():
    assert refusals(figures()) == []


@pytest.mark.parametrize(("low", "n_reasons"), [(-0.019, 0), (-0.02, 1)])
def test_gate_refuses_what_may_lose_two_points_and_accepts_an_equal(low, n_reasons):
    mean = Difference(value=0.0, low=low, high=0.019, p_better=0.5)
    assert len(refusals(figures(mean))) == n_reasons


def test_gate_that_allows_no_loss_refuses_an_interval_that_is_not_above_zero():
    mean = Difference(value=0.02, low=0.0, high=0.05, p_better=0.97)
    [reason] = refusals(figures(mean), Limits(max_loss=0))
    assert "+2.0 points" in reason
    assert "[+0.0, +5.0]" in reason


@pytest.mark.parametrize(("asked", "n_reasons"), [(0.95, 0), (0.98, 1)])
def test_gate_may_ask_for_a_probability_instead_of_the_interval(asked, n_reasons):
    mean = Difference(value=0.02, low=-0.01, high=0.05, p_better=0.97)
    assert len(refusals(figures(mean), Limits(min_probability=asked))) == n_reasons


@pytest.mark.parametrize(
    ("support", "candidate_f1", "high", "is_refused"),
    [
        (20, 0.46, -0.01, True),
        (20, 0.48, -0.01, False),
        (19, 0.1, -0.3, False),
        (20, 0.4, 0, False),
    ],
    ids=["loses four points", "loses two points", "too few to tell", "maybe by chance"],
)
def test_gate_refuses_the_sure_loss_of_a_category(support, candidate_f1, high, is_refused):
    found = figures(support=support, candidate_f1=candidate_f1, high=high)
    assert bool(refusals(found)) is is_refused


@pytest.mark.parametrize(
    ("candidate", "serving", "is_refused"),
    [(0.05, 0.01, False), (0.051, 0.01, True), (0.079, 0.079, False), (0.1, 0.079, True)],
    ids=["well enough", "above both bars", "as the serving one", "worse than the serving one"],
)
def test_gate_compares_calibration_with_the_serving_model(candidate, serving, is_refused):
    reasons = refusals(figures(calibration_errors=(candidate, serving)))
    assert [f"is {serving:.3f} on the same" in reason for reason in reasons] == [True] * is_refused


def test_gate_tells_every_reason_at_once():
    worse = Difference(value=-0.1, low=-0.2, high=-0.05, p_better=0.0)
    found = figures(worse, calibration_errors=(0.2, 0.1), support=50, candidate_f1=0.1, high=-0.3)
    assert len(refusals(found)) == 3


def random_decisions(seed):
    rng = np.random.default_rng(seed)
    y = (rng.random((120, len(RISK_TYPES))) < 0.05).astype(np.float32)
    docs = [f"document {n // 4}" for n in range(120)]
    right = y > 0
    wrong = right ^ (rng.random(y.shape) < 0.05)
    return Scored(y, right), Scored(y, wrong), y, docs


def test_measure_finds_the_right_decisions_better_and_the_same_twice():
    right, wrong, y, docs = random_decisions(1)
    found = measure(right, wrong, y, docs)
    assert refusals(found) == []
    assert found.differences["mean_f1"].low > 0
    assert found == measure(right, wrong, y, docs)


def test_measure_of_the_same_decisions_is_no_difference_and_passes_unless_better_is_asked():
    right, _, y, docs = random_decisions(2)
    found = measure(right, right, y, docs)
    assert found.differences["mean_f1"].value == 0
    assert refusals(found) == []
    assert "not surely better" in refusals(found, Limits(max_loss=0))[0]


def test_measure_counts_each_category():
    right, wrong, y, docs = random_decisions(3)
    found = measure(wrong, right, y, docs)
    for category in found.categories.values():
        assert category.candidate_f1 < category.serving_f1 == 1.0
        assert category.low < category.high < 0
        assert category.support > 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The shipped model, one that hardly finds anything, and one whose scores are six times too bold."""
    folder = tmp_path_factory.mktemp("candidates")
    make_artifact(folder, "2.0.0")
    make_artifact(folder, "0.1.0", risk_threshold=0.9999)
    make_artifact(folder, "0.2.0", sharpness=6.0)
    return folder / NAME


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run `python -m ml register` with an empty registry; return exit status and output."""
    monkeypatch.setenv("REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")

    def run_with(*arguments):
        status = 0
        try:
            register.main([str(a) for a in arguments])
        except SystemExit as error:
            status = error.code
        return status, capsys.readouterr().out

    return run_with


def test_register_a_better_model_makes_it_ready_to_be_activated(run, folders, tmp_path):
    status, out = run(
        folders / "2.0.0", "--data", DATA, "--against", folders / "0.1.0",
        "--max-calibration-error", "1",
    )  # fmt: skip
    assert status == 0, status
    assert out.startswith(f"Against {NAME}/0.1.0 in {folders / '0.1.0'} (as --against says).")
    assert "passed" in out
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
"""What `make retrain` measures on, with CALIBRATION. The shipped model's own calibration error is 0.079."""


def test_register_an_equal_of_the_serving_model_passes_the_gate_of_make_retrain(run, folders):
    status, out = run(folders / "2.0.0", "--data", GOLDEN, "--against", SHIPPED)
    assert status == 0, out
    assert "calibration error 0.079" in out


@pytest.mark.parametrize(
    ("version", "reason"),
    [("0.1.0", "may lose 2 points"), ("0.2.0", "calibration error")],
    ids=["finds hardly anything", "is far too sure"],
)
def test_register_a_damaged_model_is_refused_by_the_gate_of_make_retrain(
    run, folders, version, reason
):
    status, out = run(folders / version, "--data", GOLDEN, "--against", SHIPPED)
    assert "was not registered" in status
    assert reason in out


@pytest.mark.parametrize(
    ("calibration_of", "n_sentences"), [("", 409), ("serving", 1009)], ids=["own", "taken over"]
)
def test_register_leaves_out_what_the_thresholds_were_chosen_on(
    run, folders, tmp_path, calibration_of, n_sentences
):
    text = RETRAIN.read_text().replace(
        'calibration_of = "serving"', f'calibration_of = "{calibration_of}"'
    )
    folder = f'folder = "{folders / "2.0.0"}"'
    (tmp_path / "mine.toml").write_text(text.replace('folder = "runs/retrain/model"', folder))
    _, out = run(tmp_path / "mine.toml", "--data", GOLDEN, CALIBRATION, "--against", SHIPPED)
    assert f"{n_sentences} sentences of" in out
    assert ("which is left out" in out) is (not calibration_of)


def test_register_on_nothing_but_what_the_thresholds_were_chosen_on_is_refused(run, tmp_path):
    text = RETRAIN.read_text().replace('calibration_of = "serving"', 'calibration_of = ""')
    (tmp_path / "mine.toml").write_text(text)
    status, _ = run(tmp_path / "mine.toml", "--data", CALIBRATION, "--against", SHIPPED)
    assert "name other sentences with --data" in status


def test_register_a_worse_model_is_refused_with_reasons_unless_forced(run, folders, tmp_path):
    arguments = (folders / "0.1.0", "--data", DATA, "--against", folders / "2.0.0")
    status, out = run(*arguments)
    assert "was not registered" in status
    assert "may lose 2 points" in out
    assert not (tmp_path / "registry").exists()
    status, _ = run(*arguments, "--force", "--why", "To be shadowed only.")
    assert status == 0
    gate = Registry(tmp_path / "registry", SHIPPED).gate_record(f"{NAME}/0.1.0")
    assert (gate.passed, gate.forced, gate.why) == (False, True, "To be shadowed only.")
    assert len(gate.reasons) >= 1


@pytest.fixture(scope="module")
def record(folders):
    """The verdict on the shipped model against the one that hardly finds anything."""
    return register.decide(register.Request(folders / "2.0.0", [DATA], folders / "0.1.0"))


def test_deciding_again_gives_the_same_verdict_and_figures(folders, record):
    again = register.decide(register.Request(folders / "2.0.0", [DATA], folders / "0.1.0"))
    assert (again.figures, again.reasons) == (record.figures, record.reasons)


def test_register_other_content_under_a_taken_version_is_refused(folders, record, tmp_path):
    target = register.register(folders / "2.0.0", tmp_path, record)
    register.register(folders / "2.0.0", tmp_path, record)  # the same again is no fault
    manifest = json.loads((target / "manifest.json").read_text())
    (target / "manifest.json").write_text(json.dumps(manifest | {"code_commit": "other"}))
    with pytest.raises(register.RegisterError, match="a version never changes"):
        register.register(folders / "2.0.0", tmp_path, record)


def test_registered_copy_is_whole_and_verified(folders, record, tmp_path):
    target = register.register(folders / "2.0.0", tmp_path, record)
    manifest = artifacts.load(target).manifest
    assert {p.name for p in target.iterdir()} == {*manifest.files, "manifest.json"}


def test_register_an_altered_artifact_is_refused(tmp_path, run):
    damage(tmp_path, make_artifact(tmp_path, "3.0.0"))
    with pytest.raises(ArtifactError, match="was altered"):
        register.decide(register.Request(tmp_path / NAME / "3.0.0", [DATA], SHIPPED))
    status, _ = run(tmp_path / NAME / "3.0.0", "--data", DATA)
    assert "was altered" in status


def test_register_the_serving_model_against_itself_says_so(run):
    status, _ = run(SHIPPED, "--data", DATA, "--against", SHIPPED)
    assert "against itself" in status


@pytest.fixture
def config(folders, tmp_path):
    """Settings of a service whose registry holds the candidates; its database is not there yet."""
    database_url = f"sqlite:///{tmp_path / 'riskscan.db'}"
    return load({"DATABASE_URL": database_url, "REGISTRY_DIR": str(folders.parent)})


def test_serving_folder_is_what_was_activated_last(config, folders):
    with models_of(config) as models:
        models.activate(
            f"{NAME}/0.1.0", actor=Actor(operator="test"), why="For this test.", force=True
        )
    assert serving_folder(config) == (folders / "0.1.0", "it was activated last")


def test_serving_folder_where_nothing_was_activated_is_the_default(config):
    assert serving_folder(config)[0] == config.model_dir
    assert not Path(config.database_url.removeprefix("sqlite:///")).exists()
    migrate.upgrade(config.database_url)
    assert serving_folder(config) == (
        config.model_dir,
        "MODEL_DIR, since no model was activated",
    )


def test_serving_folder_of_a_database_without_schema_is_the_default_and_says_why(config):
    Path(config.database_url.removeprefix("sqlite:///")).touch()
    folder, why = serving_folder(config)
    assert folder == config.model_dir
    assert "service db upgrade" in why


def test_serving_folder_of_a_model_that_is_gone_is_an_error(config, tmp_path):
    with models_of(config) as models:
        models.activate(
            f"{NAME}/0.1.0", actor=Actor(operator="test"), why="For this test.", force=True
        )
    with pytest.raises(NotFound, match=f"{NAME}/0.1.0"):
        serving_folder(config.model_copy(update={"registry_dir": tmp_path / "elsewhere"}))


def test_force_without_a_reason_is_refused(run):
    status, _ = run(SHIPPED, "--data", DATA, "--force", "--why", "because")
    assert status == 2
