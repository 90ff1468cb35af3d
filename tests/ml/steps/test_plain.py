"""The plain command over the shipped model."""

import json

import pytest

from ml.evaluation.plain import FROZEN
from tests.ml.step import run_step
from tests.nlp.conftest import MODEL_DIR
from tests.support.artifacts import VERSION


@pytest.mark.system
def test_plain_measures_every_frozen_set_and_shows_no_sentence(tmp_path):
    done = run_step("plain", MODEL_DIR, "--out", tmp_path)
    found = json.loads((tmp_path / "plain.json").read_text())
    assert list(found) == [path.stem for path in FROZEN]
    assert found["plain"]["data"]["sentences"] == 444
    assert 0 < found["plain"]["recall"] <= 1
    assert done.stdout.startswith(f"# riskscan-fast {VERSION}")
    first = json.loads(FROZEN[0].read_text().splitlines()[0])["text"]
    assert not any(first in path.read_text() for path in tmp_path.iterdir())
