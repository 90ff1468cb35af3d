"""The command that compares two stored evaluations."""

import json

import pytest

from ml.evaluation.predictions import Predictions
from service.nlp.taxonomy import built_in
from tests.ml.decisions import DOCS, N, Y, wrong
from tests.ml.step import run_step

TEXTS = [f"sentence {i}" for i in range(N)]


def stored(folder, name, hits, *, texts=TEXTS, y=Y):
    folder.mkdir()
    (folder / "evaluation.json").write_text(json.dumps({}))
    predictions = Predictions.from_texts(
        name, texts=texts, docs=DOCS, y=y, scores=None, hits={"balanced": hits}, taxonomy=built_in()
    )
    predictions.write(folder / "predictions.npz")
    return folder / "evaluation.json"


def test_compare_command_names_the_better_run(tmp_path):
    a = stored(tmp_path / "a", "old 1.0", wrong(0.6))
    b = stored(tmp_path / "b", "new 2.0", wrong(0.05))
    done = run_step("compare", a, b)
    assert "| risk type, micro-F1 | -" in done.stdout
    assert "b (new 2.0) is better than a (old 1.0)" in done.stdout


def test_compare_command_reports_an_insignificant_difference(tmp_path):
    a = stored(tmp_path / "a", "one", wrong(0.3))
    b = stored(tmp_path / "b", "two", wrong(0.3, seed=9))
    assert "cannot be told apart" in run_step("compare", a, b).stdout


@pytest.mark.parametrize("change", ["texts", "labels"])
def test_compare_command_other_data_is_refused(tmp_path, change):
    texts = ["another", *TEXTS[1:]] if change == "texts" else TEXTS
    y = Y[:, ::-1] if change == "labels" else Y
    a = stored(tmp_path / "a", "one", Y > 0)
    b = stored(tmp_path / "b", "two", Y > 0, texts=texts, y=y)
    done = run_step("compare", a, b)
    assert (done.exit_code, "not over the same data" in done.stderr) == (1, True)


def test_compare_command_unknown_sensitivity_lists_the_available(tmp_path):
    a = stored(tmp_path / "a", "one", Y > 0)
    done = run_step("compare", a, a, "--sensitivity", "recall")
    assert "only at balanced" in done.stderr


def test_compare_command_missing_predictions_name_the_remedy(tmp_path):
    done = run_step("compare", *[tmp_path / "evaluation.json"] * 2)
    assert "-m ml evaluate" in done.stderr
