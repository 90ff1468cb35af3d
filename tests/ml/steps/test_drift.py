"""The drift command with the shipped model: similar sentences are stable, other prose has drifted."""

import json
import shutil

import pytest

from ml.artifact.manifest_writer import manifest_fields, write_manifest
from ml.corpus.dataset import read_examples
from ml.evaluation import drift_reference
from service.config.settings import ROOT
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.taxonomy import built_in
from tests.ml.step import run_step
from tests.nlp.conftest import MODEL_DIR

EXAMPLES = [
    e for name in "abc" for e in read_examples(ROOT / f"ml/data/authored-{name}.jsonl", built_in())
]
PARTS = EXAMPLES[::3], EXAMPLES[1::3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An artifact with the reference of a third of the composed sentences."""
    folder = tmp_path_factory.mktemp("model") / MODEL_DIR.name
    shutil.copytree(MODEL_DIR, folder)
    analyzer = LocalAnalyzer.open(folder, device="cpu", n_threads=1)
    scores = analyzer.score([e.text for e in PARTS[0]])
    hits = analyzer.decide(scores)
    analyzer.close()
    reference = drift_reference.reference(
        PARTS[0],
        scores,
        hits,
        taxonomy=built_in(),
        tokenizer=artifacts.load(folder).tokenizer(),
        learned=[e.text for e in EXAMPLES[2::3]],
    )
    (folder / "reference.json").write_text(json.dumps(reference))
    write_manifest(folder, manifest_fields(folder))
    return folder


def run(folder, *arguments):
    return run_step("drift", "--reference", folder / "reference.json", *arguments)


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.system
def test_drift_other_sentences_of_the_same_kind_are_stable(folder, tmp_path):
    data = lines(tmp_path / "data.jsonl", [{"text": e.text} for e in PARTS[1]])
    done = run(folder, "--data", data)
    assert done.exit_code == 0
    assert done.stdout.count("| stable |") == 4
    assert f"{len(PARTS[1])} sentences" in done.stdout


def test_drift_other_prose_has_drifted_and_exits_with_2(folder, tmp_path):
    poem = [f"Lo, the moon number {n} doth rise o'er yonder hill, softly." for n in range(200)]
    data = lines(tmp_path / "data.jsonl", [{"text": t} for t in poem])
    done = run(folder, "--data", data)
    assert done.exit_code == 2
    assert "drifted" in done.stdout


def test_drift_scans_compare_findings_and_the_share_without(folder, tmp_path):
    findings = [
        {"category": "market", "score": 0.9, "context": f"Demand fell in month {n}.", "start": n}
        for n in range(300)
    ]
    scan = {"file": "a", "coverage": {"sentences": 310}, "findings": findings}
    scans = lines(tmp_path / "scans.jsonl", [scan])
    done = run(folder, "--scans", scans)
    assert done.exit_code == 2
    assert "categories" in done.stdout
    assert "1 scans" in done.stdout


def test_drift_takes_scans_whose_sentences_hold_a_line_separator(folder, tmp_path):
    finding = {"category": "market", "score": 0.9, "context": "Demand\u2028fell.", "start": 0}
    scan = {"file": "a", "coverage": {"sentences": 310}, "findings": [finding]}
    scans = tmp_path / "scans.jsonl"
    scans.write_text(json.dumps(scan, ensure_ascii=False) + "\n", encoding="utf-8")
    assert "1 scans" in run(folder, "--scans", scans).stdout


def test_drift_line_that_is_no_scan_is_reported(folder, tmp_path):
    scans = lines(tmp_path / "scans.jsonl", [{"text": "no scan"}])
    done = run(folder, "--scans", scans)
    assert "line 1 lacks coverage or findings" in done.stderr


def test_reference_holds_histograms_and_no_text(folder):
    text = (folder / "reference.json").read_text()
    reference = json.loads(text)
    assert sum(reference["sentences"]["risk_score"]) == len(PARTS[0]) == reference["n_sentences"]
    assert sum(reference["sentences"]["category"]) == len(PARTS[0])
    assert reference["findings"]["category"][-1] == reference["sentences"]["category"][-1]
    assert not [word for word in ("supplier", "engineer", "database") if word in text]


def test_drift_against_a_reference_of_version_1_works(tmp_path):
    """It lacks the noise, which a reference of five thousand sentences does not need."""
    folder = tmp_path / MODEL_DIR.name
    shutil.copytree(MODEL_DIR, folder)
    reference = json.loads((folder / "reference.json").read_text()) | {"reference_version": 1}
    reference.pop("noise", None)
    (folder / "reference.json").write_text(json.dumps(reference))
    data = lines(tmp_path / "data.jsonl", [{"text": e.text} for e in EXAMPLES[::20]])
    write_manifest(folder, manifest_fields(folder))
    done = run(folder, "--data", data)
    assert "risk score" in done.stdout
