"""Stored predictions hold no text, and a damaged file is refused."""

import zipfile

import numpy as np
import pytest

from ml.evaluation.predictions import Predictions, PredictionsError, read_predictions
from service.nlp.taxonomy import built_in

N = 240
DOCS = [f"report {i // 8}" for i in range(N)]
TEXTS = [f"sentence {i}" for i in range(N)]
Y = np.zeros((N, 37), np.float32)
Y[np.arange(0, N, 3), np.arange(0, N, 3) % 37] = 1


def test_predictions_are_read_as_written_and_hold_no_text(tmp_path):
    scores = np.random.default_rng(0).random((N, 37)).astype(np.float32)
    predictions = Predictions.from_texts(
        "m 1",
        texts=TEXTS,
        docs=DOCS,
        y=Y,
        scores=scores,
        hits={"balanced": Y > 0},
        taxonomy=built_in(),
    )
    predictions.write(tmp_path / "one.npz")
    predictions.write(tmp_path / "two.npz")
    read = read_predictions(tmp_path / "one.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert read.scores == pytest.approx(scores, abs=6e-5)
    assert (read.hits_at("balanced") == (Y > 0)).all()
    with zipfile.ZipFile(tmp_path / "one.npz") as archive:
        inside = b"".join(archive.read(name) for name in archive.namelist())
    assert b"sentence" not in inside
    assert b"report" not in inside
    assert read.analyzer == "m 1"


def test_predictions_damaged_file_is_refused_without_unpickling(tmp_path):
    np.savez(tmp_path / "p.npz", analyzer=np.array({"a": 1}, dtype=object))
    with pytest.raises(PredictionsError, match="cannot be read"):
        read_predictions(tmp_path / "p.npz")
