"""The pipeline's last step over a small artifact: baselines, fidelity, manifest, card."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from safetensors.numpy import load_file, save_file

from ml.artifact.rounding import rounding_loss
from ml.corpus.dataset import read_examples
from ml.evaluation import quantization_loss
from ml.settings import load
from ml.steps import evaluate
from ml.training.checkpoints import model_path
from service.config import settings as service_config
from service.config.settings import ROOT
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.taxonomy import built_in
from tests.support.adapters import write_base, write_calibrated_run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Settings and float32 weights of a run: 60 composed sentences to train the baselines, 25 + 15 as dev."""
    folder = tmp_path_factory.mktemp("ml")
    base = write_base(folder / "base")
    settings = load(
        write_calibrated_run(
            folder / "run", base, head_bias=-4.5, n_train=60, n_dev=40, sentence_form='"written"'
        )
    )
    dev = Path(settings.data.dev[0])
    lines = dev.read_text().splitlines(keepends=True)
    sets = [dev, dev.with_name("other.jsonl")]
    for path, part in zip(sets, (lines[:25], lines[25:]), strict=True):
        path.write_text("".join(part))
    settings = replace(settings, data=replace(settings.data, dev=[str(path) for path in sets]))
    recipe = {"base": {"start": [str(service_config.load().model_dir)]}}
    (settings.run_dir / "recipe.json").write_text(json.dumps(recipe))
    return settings, load_file(model_path(settings.run_dir))


@pytest.fixture(scope="module")
def settings(trained):
    """The settings of the run after its weights are gone."""
    model_path(trained[0].run_dir).unlink()
    return trained[0]


@pytest.fixture(scope="module")
def evaluation(settings):
    evaluate.run(settings, baselines=True)
    return json.loads((settings.run_dir / "evaluation.json").read_text())


@pytest.mark.system
def test_run_measures_all_baselines_beside_the_model(evaluation, settings):
    assert list(evaluation["baselines"]) == ["tfidf", "knn", "keywords"]
    for found in evaluation["baselines"].values():
        d = found["difference"]
        assert d["low"] <= d["value"] <= d["high"]
        assert 0 <= d["p_better"] <= 1
    assert list(settings.run_dir.glob("embeddings-*.npz"))


def test_run_fills_card_and_manifest_and_the_artifact_still_serves(evaluation, settings):
    metrics = artifacts.load(settings.artifact_dir).manifest.metrics
    card = (settings.artifact_dir / "README.md").read_text()
    assert "fine-tuned, starting from riskscan-fast/" in card
    value = evaluation["sensitivities"]["balanced"]["type_f1"]["value"]
    assert metrics["at_threshold"]["type_f1"][0] == round(value, 4)
    assert metrics["sensitivities"]["recall"]["risk_recall"][0] > 0
    assert metrics["cross_fitted"]["mean_f1"][1] <= metrics["cross_fitted"]["mean_f1"][2]
    assert metrics["split"]["sentences"] == 40
    assert {name: one["sentences"] for name, one in metrics["sets"].items()} == {
        "all": 40,
        "dev": 25,
        "other": 15,
    }
    other = evaluation["sets"]["other"]
    assert metrics["sets"]["other"]["cross_fitted"]["type_f1"][0] == round(
        other["nested"]["type_f1"]["value"], 4
    )
    assert "risk_recall" in metrics["sets"]["other"]["promises"]["recall"]
    assert "| sentences | 40 | 25 | 15 |" in card
    for words in (f"{value:.3f}", "nearest neighbours", "| precision |", "upper case", "100"):
        assert words in card
    LocalAnalyzer.open(settings.artifact_dir, device="cpu", n_threads=1).close()


@pytest.mark.usefixtures("evaluation")
def test_card_and_documentation_state_the_same_agreement(settings):
    agreement = "0.96, 0.85 and 0.83 on risk, category and type"
    for path in (settings.artifact_dir / "README.md", ROOT / "docs/models.md"):
        assert agreement in " ".join(path.read_text().split())


def test_run_without_its_weights_has_no_rounding_figures(evaluation, settings):
    assert evaluation["float32_difference_points"] is None
    metrics = artifacts.load(settings.artifact_dir).manifest.metrics
    assert metrics["float32_difference_points"] is None


@pytest.fixture
def weights(trained, settings):
    """The file of the run's float32 weights."""
    path = model_path(settings.run_dir)
    save_file(trained[1], path)
    yield path
    path.unlink()


@pytest.mark.usefixtures("weights")
def test_rounding_loss_is_small(settings):
    analyzer = LocalAnalyzer.open(settings.artifact_dir, device="cpu", n_threads=1)
    examples = read_examples(ROOT / "ml/data/authored-b.jsonl", built_in())
    points = rounding_loss(settings, analyzer, examples)
    analyzer.close()
    assert set(points) == {"risk_f1", "category_f1", "type_f1"}
    assert max(abs(p.value) for p in points.values()) < 1


def test_run_with_other_weights_leaves_the_artifact_unchanged(settings, weights):
    before = (settings.artifact_dir / "manifest.json").read_bytes()
    state = load_file(weights)
    save_file(state | {"head.bias": state["head.bias"] - 99.0}, weights)
    with pytest.raises(quantization_loss.FidelityError, match="was not changed"):
        evaluate.run(settings)
    assert (settings.artifact_dir / "manifest.json").read_bytes() == before
