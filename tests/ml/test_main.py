"""The one command line of ml: steps and help, usage errors, and errors in one sentence."""

import subprocess
import sys

import pytest

from ml.__main__ import STEPS
from service.config.settings import ROOT
from tests.ml.step import run_step


def test_help_lists_every_step_with_one_line():
    shown = run_step("--help").stdout
    assert all(f"  {name} " in shown and line in shown for name, line in STEPS.items())


def test_help_imports_no_model_library():
    check = "import ml.__main__, sys; sys.exit('torch' in sys.modules or 'sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("step", STEPS)
def test_step_help_explains_it(step):
    done = run_step(step, "--help")
    assert (done.exit_code, done.stdout.startswith("Usage:")) == (0, True)


@pytest.mark.parametrize("arguments", [("nonsense",), ("train",), ("train", "a", "b")])
def test_wrong_arguments_are_a_usage_error(arguments):
    assert run_step(*arguments).exit_code == 2


def test_error_ends_in_one_sentence():
    done = run_step("dataset", "none.toml")
    assert done.exit_code == 1
    assert done.stderr == "There is no none.toml; name a file such as ml/configs/retrain.toml.\n"


def test_step_without_torch_names_the_environment_that_has_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    for name in [n for n in sys.modules if n.startswith(("ml.steps.train", "ml.training"))]:
        monkeypatch.delitem(sys.modules, name)
    done = run_step("train", "ml/configs/retrain.toml")
    assert done.exit_code == 1
    assert done.stderr == (
        "This step needs torch, which this environment lacks. Use .venv-test: "
        "`make .venv-test/.installed`.\n"
    )
