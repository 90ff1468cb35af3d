"""The drift command over a real model: the sentences it knows are stable, another kind is not."""

import json
import shutil

import numpy as np
import pytest

pytest.importorskip("sklearn")

from ml import drift
from ml.dataset import read_examples
from ml.seal import seal, unsealed
from service.config import ROOT
from service.nlp import artifact as artifacts
from service.nlp.local import LocalAnalyzer
from service.nlp.taxonomy import RISK_TYPES
from tests.nlp.conftest import MODEL_DIR

TEXTS = [e.text for name in "abc" for e in read_examples(ROOT / f"ml/data/authored-{name}.jsonl")]
HALVES = TEXTS[::7], TEXTS[3::7]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An artifact with the reference of half of the composed sentences."""
    folder = tmp_path_factory.mktemp("model") / "1.1.0"
    shutil.copytree(MODEL_DIR, folder)
    analyzer = LocalAnalyzer.open(folder, device="cpu", n_threads=1)
    scores = analyzer.score(HALVES[0])
    hits = analyzer.decide(scores)
    analyzer.close()
    tokenizer = artifacts.load(folder).tokenizer()
    made = drift.reference(HALVES[0], scores, tokenizer, hits=hits)
    (folder / "reference.json").write_text(json.dumps(made))
    seal(folder, unsealed(folder))
    return folder


def run(folder, *arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        drift.main(["--reference", str(folder / "reference.json"), *map(str, arguments)])
    return ended.value.code, capsys.readouterr().out


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_drift_other_sentences_of_the_same_kind_are_stable(folder, tmp_path, capsys):
    data = lines(tmp_path / "data.jsonl", [{"text": t} for t in HALVES[1]])
    code, shown = run(folder, "--data", data, capsys=capsys)
    assert code == 0
    assert "drifted" not in shown
    assert f"{len(HALVES[1])} sentences" in shown


def test_drift_prose_of_another_kind_has_drifted_and_ends_with_2(folder, tmp_path, capsys):
    poem = [f"Lo, the moon number {n} doth rise o'er yonder hill, softly." for n in range(200)]
    data = lines(tmp_path / "data.jsonl", [{"text": t} for t in poem])
    code, shown = run(folder, "--data", data, capsys=capsys)
    assert code == 2
    assert "drifted" in shown


def test_drift_scans_compare_findings_and_the_share_without(folder, tmp_path, capsys):
    findings = [
        {"category": "market", "score": 0.9, "context": f"Demand fell in month {n}.", "start": n}
        for n in range(300)
    ]
    scan = {"file": "a", "coverage": {"sentences": 310}, "findings": findings}
    scans = lines(tmp_path / "scans.jsonl", [scan])
    code, shown = run(folder, "--scans", scans, capsys=capsys)
    assert code == 2
    assert "categories" in shown
    assert "1 scans" in shown


def test_drift_line_that_is_no_scan_is_named(folder, tmp_path, capsys):
    scans = lines(tmp_path / "scans.jsonl", [{"text": "no scan"}])
    code, _ = run(folder, "--scans", scans, capsys=capsys)
    assert "line 1 lacks coverage or findings" in code


def test_reference_holds_histograms_and_no_text(folder):
    text = (folder / "reference.json").read_text()
    made = json.loads(text)
    assert sum(made["sentences"]["risk_score"]) == len(HALVES[0]) == made["n_sentences"]
    assert sum(made["sentences"]["category"]) == len(HALVES[0])
    assert made["findings"]["category"][-1] == made["sentences"]["category"][-1]
    assert not [word for word in ("supplier", "engineer", "database") if word in text]


def test_reference_without_decisions_takes_sure_sentences_and_their_best_type():
    scores = np.zeros((2, 37), np.float32)
    scores[0, RISK_TYPES.index("injury")] = 0.8
    made = drift.reference(["He fell.", "She ate."], scores, artifacts.load(MODEL_DIR).tokenizer())
    assert sum(made["findings"]["length"]) == 1
    assert sum(made["findings"]["score"]) == 1
