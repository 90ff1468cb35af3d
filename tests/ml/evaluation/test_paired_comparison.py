"""Two evaluations of the same sentences: which is better, said from what they stored."""

import json
import zipfile

import numpy as np
import pytest

from ml.evaluation import paired_comparison
from ml.evaluation.metrics import f1_measures
from ml.evaluation.predictions import Predictions, PredictionsError, read_predictions

N = 240
DOCS = [f"report {i // 8}" for i in range(N)]
TEXTS = [f"sentence {i}" for i in range(N)]
Y = np.zeros((N, 37), np.float32)
Y[np.arange(0, N, 3), np.arange(0, N, 3) % 37] = 1


def wrong(share, *, seed=0):
    """The truth with that share of its positives missed."""
    hits = Y > 0
    missed = np.random.default_rng(seed).random(N) < share
    return hits & ~missed[:, None]


def stored(folder, name, hits, *, texts=TEXTS, y=Y):
    folder.mkdir()
    (folder / "evaluation.json").write_text(json.dumps({}))
    made = Predictions.of(name, texts=texts, docs=DOCS, y=y, scores=None, hits={"balanced": hits})
    made.write(folder / "predictions.npz")
    return folder / "evaluation.json"


def test_paired_bootstrap_difference_is_that_of_the_two_f1():
    a, b = wrong(0.1), wrong(0.4)
    found = paired_comparison.paired_bootstrap(a, b, Y, DOCS)
    of_a, of_b = f1_measures(a, Y, DOCS), f1_measures(b, Y, DOCS)
    assert set(found) == {
        "risk_f1",
        "category_f1",
        "category_macro_f1",
        "type_f1",
        "mean_f1",
    }
    for key, d in found.items():
        assert d.value == pytest.approx(of_a[key].value - of_b[key].value)
        assert d.low <= d.value <= d.high


def test_paired_bootstrap_clearly_better_wins_every_resample():
    found = paired_comparison.paired_bootstrap(wrong(0.05), wrong(0.6), Y, DOCS)
    assert all(d.p_better == 1.0 and d.low > 0 for d in found.values())


def test_paired_bootstrap_turned_around_changes_the_signs():
    a, b = wrong(0.2), wrong(0.25, seed=1)
    one, other = (
        paired_comparison.paired_bootstrap(a, b, Y, DOCS),
        paired_comparison.paired_bootstrap(b, a, Y, DOCS),
    )
    for key, d in one.items():
        assert other[key].value == pytest.approx(-d.value)
        assert other[key].low == pytest.approx(-d.high)
        assert other[key].p_better == pytest.approx(1 - d.p_better)


def test_paired_bootstrap_same_decisions_are_even_and_repeat():
    found = paired_comparison.paired_bootstrap(wrong(0.3), wrong(0.3), Y, DOCS)
    assert all((d.value, d.low, d.high, d.p_better) == (0, 0, 0, 0.5) for d in found.values())
    again = paired_comparison.paired_bootstrap(wrong(0.3), wrong(0.1), Y, DOCS, seed=4)
    assert again == paired_comparison.paired_bootstrap(wrong(0.3), wrong(0.1), Y, DOCS, seed=4)


def test_paired_bootstrap_is_narrower_than_two_separate_intervals():
    """What makes a document hard for both cancels out: that is why the resamples are shared."""
    rng = np.random.default_rng(3)
    hard = np.repeat(rng.random(N // 8) < 0.4, 8)
    a, b = (Y > 0) & ~hard[:, None], (Y > 0) & ~hard[:, None] & (rng.random((N, 1)) > 0.03)
    d = paired_comparison.paired_bootstrap(a, b, Y, DOCS)["type_f1"]
    alone = f1_measures(a, Y, DOCS)["type_f1"]
    assert d.high - d.low < 0.5 * (alone.high - alone.low)


def test_compare_command_names_the_better_run(tmp_path, capsys):
    a = stored(tmp_path / "a", "old 1.0", wrong(0.6))
    b = stored(tmp_path / "b", "new 2.0", wrong(0.05))
    paired_comparison.main([str(a), str(b)])
    shown = capsys.readouterr().out
    assert "| risk type, micro-F1 | -" in shown
    assert "b (new 2.0) is better than a (old 1.0)" in shown


def test_compare_command_says_when_they_cannot_be_told_apart(tmp_path, capsys):
    a = stored(tmp_path / "a", "one", wrong(0.3))
    b = stored(tmp_path / "b", "two", wrong(0.3, seed=9))
    paired_comparison.main([str(a), str(b)])
    assert "cannot be told apart" in capsys.readouterr().out


@pytest.mark.parametrize("change", ["texts", "labels"])
def test_compare_command_other_data_is_refused(tmp_path, change):
    texts = ["another", *TEXTS[1:]] if change == "texts" else TEXTS
    y = Y[:, ::-1] if change == "labels" else Y
    a = stored(tmp_path / "a", "one", Y > 0)
    b = stored(tmp_path / "b", "two", Y > 0, texts=texts, y=y)
    with pytest.raises(SystemExit, match="not over the same data"):
        paired_comparison.main([str(a), str(b)])


def test_compare_command_unknown_sensitivity_names_those_there(tmp_path):
    a = stored(tmp_path / "a", "one", Y > 0)
    with pytest.raises(SystemExit, match="only at balanced"):
        paired_comparison.main([str(a), str(a), "--sensitivity", "recall"])


def test_compare_command_missing_predictions_name_the_remedy(tmp_path):
    with pytest.raises(SystemExit, match=r"ml\.evaluate"):
        paired_comparison.main([str(tmp_path / "evaluation.json")] * 2)


def test_predictions_come_back_as_written_and_hold_no_text(tmp_path):
    scores = np.random.default_rng(0).random((N, 37)).astype(np.float32)
    made = Predictions.of(
        "m 1", texts=TEXTS, docs=DOCS, y=Y, scores=scores, hits={"balanced": Y > 0}
    )
    made.write(tmp_path / "one.npz")
    made.write(tmp_path / "two.npz")
    read = read_predictions(tmp_path / "one.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert read.scores == pytest.approx(scores, abs=6e-5)
    assert (read.hits_at("balanced") == (Y > 0)).all()
    with zipfile.ZipFile(tmp_path / "one.npz") as archive:
        inside = b"".join(archive.read(name) for name in archive.namelist())
    assert b"sentence" not in inside
    assert b"report" not in inside
    assert read.analyzer == "m 1"


def test_predictions_damaged_file_is_refused_unpickled(tmp_path):
    np.savez(tmp_path / "p.npz", analyzer=np.array({"a": 1}, dtype=object))
    with pytest.raises(PredictionsError, match="cannot be read"):
        read_predictions(tmp_path / "p.npz")
