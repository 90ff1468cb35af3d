"""An exit learned for the shipped model, which stays the same in all else."""

import json
import shutil
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

from ml.artifact.early_exit import _halves, add_exit
from ml.artifact.graph_rebuild import rebuild
from ml.corpus.dataset import read_examples
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.onnx_engine import OnnxEngine
from service.nlp.taxonomy import built_in
from tests.ml.step import run_step
from tests.support.artifacts import SHIPPED
from tests.support.early_exits import write_model_without_exit

SENTENCES = [e.text for e in read_examples(ROOT / "ml/data/authored-b.jsonl", built_in())[:120]]


@pytest.fixture(scope="module")
def exits(model_with_exit):
    return artifacts.load(model_with_exit)


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    return artifacts.load(write_model_without_exit(tmp_path_factory.mktemp("without") / "model"))


def opened(folder, **settings):
    return LocalAnalyzer.open(folder, device="cpu", n_threads=1, **settings)


def decisive(analyzer, sentences=SENTENCES):
    return np.concatenate(list(analyzer.decisive_scores(sentences, "balanced")))


def test_exit_changes_only_graph_manifest_and_card(exits, without):
    before = without.manifest.files
    changed = {name for name, sha256 in exits.manifest.files.items() if sha256 != before.get(name)}
    assert changed == {"exit.safetensors", "model.int8.onnx", "README.md"}


def test_every_threshold_keeps_the_recall(exits):
    figures = exits.manifest.early_exit.measured
    assert figures["balanced"]["recall_lost_points"] <= 0.5
    assert figures["balanced"]["leave"]["authored-a"] > 0.1


def test_scores_on_demand_are_those_without_an_exit(exits, without):
    analyzer, other = opened(exits.path), opened(without.path)
    assert np.abs(analyzer.score(SENTENCES) - other.score(SENTENCES)).max() < 1e-6
    difference = analyzer.score_document(SENTENCES) - other.score_document(SENTENCES)
    assert np.abs(difference).max() < 1e-6


def test_sentences_that_leave_score_zero_and_state_no_risk(exits):
    analyzer = opened(exits.path)
    scores = decisive(analyzer)
    left = ~scores.any(axis=1)
    assert 0 < left.sum() < len(SENTENCES)
    assert not analyzer.decide(scores)[left].any()


def test_setting_switches_the_exit_off(exits, without):
    scores = decisive(opened(exits.path, early_exit=False))
    assert np.abs(scores - opened(without.path).score_document(SENTENCES)).max() < 1e-6


def test_cached_sentence_that_left_is_computed_when_it_must_stay(exits):
    analyzer = opened(exits.path, cache_sentences=1000)
    left = ~decisive(analyzer).any(axis=1)
    assert left.any()
    assert analyzer.score_document(SENTENCES).any(axis=1).all()


def test_engine_without_an_exit_lets_no_row_leave(without):
    ids, below = np.full((2, 5), 2005), np.full(2, np.inf, np.float32)
    engine = OnnxEngine(without, n_threads=1)
    assert np.isfinite(engine.early_outputs(ids, np.ones_like(ids), below)).all()


def test_engine_without_an_exit_shares_the_cache_between_sensitivities(exits, without):
    engine = OnnxEngine(without, n_threads=1)
    with closing(LocalAnalyzer(exits, engine, cache_sentences=1000)) as analyzer:
        scores = decisive(analyzer)
        engine.outputs = None  # fails if called
        assert np.array_equal(analyzer.score_document(SENTENCES), scores)


def test_rebuilt_graph_keeps_the_exit(exits):
    examples = read_examples(ROOT / "ml/data/calibration.jsonl", built_in())[:60]
    rebuilt = rebuild(exits.path, "9.9.9", examples)
    try:
        assert np.array_equal(decisive(opened(rebuilt.path)), decisive(opened(exits.path)))
    finally:
        shutil.rmtree(rebuilt.path)


def test_exit_of_a_registered_model_is_refused(tmp_path, monkeypatch):
    folder = shutil.copytree(SHIPPED, tmp_path / "registry/riskscan-fast" / SHIPPED.name)
    monkeypatch.setenv("REGISTRY_DIR", str(tmp_path / "registry"))
    with pytest.raises(ConfigError, match="registered"):
        add_exit(folder, [], [])


def test_step_without_labelled_risks_leaves_the_artifact_as_it_is(tmp_path):
    folder = write_model_without_exit(tmp_path / "model")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": t, "labels": []}) + "\n" for t in SENTENCES[:20]))
    done = run_step("early-exit", folder, "--train", rows, "--dev", rows)
    assert done.exit_code == 1
    assert "keeps the recall" in done.stderr
    assert artifacts.load(folder).manifest.early_exit is None


def test_sentences_of_one_document_cannot_teach_an_exit(without):
    one = [replace(e, doc="all") for e in read_examples(ROOT / "ml/data/golden.jsonl", built_in())]
    with pytest.raises(ConfigError, match="at least two documents"):
        add_exit(without.path, one, one)


def test_step_reads_whole_documents_up_to_the_number_of_sentences(tmp_path):
    folder = write_model_without_exit(tmp_path / "model")
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "".join(json.dumps({"text": t, "labels": [], "doc": "a"}) + "\n" for t in SENTENCES[:20])
        + "".join(
            json.dumps({"text": t, "labels": [], "doc": "b"}) + "\n" for t in SENTENCES[20:40]
        )
    )
    done = run_step("early-exit", folder, "--train", rows, "--dev", rows, "--sentences", "39")
    assert done.exit_code == 1
    assert "--sentences 39 holds fewer: give 40 or more" in done.stderr


def test_heads_and_thresholds_learn_from_different_documents():
    examples = read_examples(ROOT / "ml/data/authored-c.jsonl", built_in())
    first, second = _halves(examples)
    assert sorted(e.text for e in [*first, *second]) == sorted(e.text for e in examples)
    assert not {e.doc for e in first} & {e.doc for e in second}
    assert min(len(first), len(second)) > 0
