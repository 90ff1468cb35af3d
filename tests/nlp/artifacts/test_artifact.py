"""The service refuses a model that is missing, altered, or made for something else."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.errors import ArtifactError
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.manifest import probabilities
from service.nlp.artifacts.operating_points import SENSITIVITIES, risk_scores
from service.nlp.inference.onnx_engine import OnnxEngine
from service.nlp.taxonomy import built_in
from tests.support.artifacts import SHIPPED
from tests.support.own_taxonomy import OWN, make_own_artifact

RISK_TYPES = built_in().risk_types


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "model"))


def edit_manifest(folder: Path, **changes):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(manifest))
    return manifest


def point(risk_threshold, threshold):
    return {"risk_threshold": risk_threshold, "thresholds": dict.fromkeys(RISK_TYPES, threshold)}


def test_shipped_artifact_loads_with_the_taxonomy_of_the_service():
    manifest = artifacts.load(SHIPPED).manifest
    assert manifest.labels == RISK_TYPES
    assert manifest.operating_points["balanced"].thresholds.shape == (37,)
    assert manifest.base_model["license"] == "Apache-2.0"


def test_shipped_artifact_is_small_enough_for_version_control():
    assert sum(p.stat().st_size for p in SHIPPED.iterdir()) < 30_000_000


def test_shipped_artifact_says_how_well_it_does():
    metrics = artifacts.load(SHIPPED).manifest.metrics
    value, low, high = metrics["cross_fitted"]["risk_f1"]
    assert low < value < high
    assert f"{value:.3f}" in (SHIPPED / "README.md").read_text()


def test_artifact_brings_its_own_taxonomy(tmp_path: Path):
    artifact = artifacts.load(tmp_path / make_own_artifact(tmp_path))
    assert artifact.taxonomy == OWN
    assert artifact.manifest.labels == OWN.risk_types
    LocalAnalyzer.open(artifact.path, device="cpu", n_threads=1).close()


def test_artifact_whose_labels_differ_from_its_taxonomy_is_refused(tmp_path: Path):
    folder = tmp_path / make_own_artifact(tmp_path)
    edit_manifest(folder, labels=[*OWN.risk_types][::-1])
    with pytest.raises(ArtifactError, match=r"other risk types.*its taxonomy.json"):
        artifacts.load(folder)


def test_network_with_another_number_of_outputs_is_refused():
    shipped = artifacts.load(SHIPPED)
    with pytest.raises(ArtifactError, match="does not fit 4 risk types"):
        LocalAnalyzer(replace(shipped, taxonomy=OWN), OnnxEngine(shipped, n_threads=1))


def test_load_without_a_folder_says_where_it_looked(tmp_path: Path):
    with pytest.raises(ArtifactError, match=r"nowhere.*MODEL_DIR"):
        artifacts.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", artifacts.REQUIRED_FILES)
def test_load_with_a_changed_byte_names_the_file(copy: Path, name: str):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=f"{name} was altered"):
        artifacts.load(copy)


@pytest.mark.parametrize("name", artifacts.REQUIRED_FILES)
def test_load_with_a_missing_file_names_it(copy: Path, name: str):
    (copy / name).unlink()
    with pytest.raises(ArtifactError, match=f"lacks {name}"):
        artifacts.load(copy)


def test_load_when_a_file_is_not_listed_refuses(copy: Path):
    files = json.loads((copy / "manifest.json").read_text())["files"]
    del files["weights.safetensors"]
    edit_manifest(copy, files=files)
    with pytest.raises(ArtifactError, match=r"does not list weights\.safetensors"):
        artifacts.load(copy)


def test_load_when_labels_stand_in_another_order_refuses(copy: Path):
    edit_manifest(copy, labels=list(reversed(RISK_TYPES)))
    with pytest.raises(ArtifactError, match="other risk types"):
        artifacts.load(copy)


def test_load_of_another_taxonomy_refuses(copy: Path):
    edit_manifest(copy, taxonomy_version=99)
    with pytest.raises(ArtifactError, match="taxonomy 99"):
        artifacts.load(copy)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", ".hidden", ""])
def test_load_when_a_file_name_leaves_the_folder_refuses(copy: Path, name: str):
    files = json.loads((copy / "manifest.json").read_text())["files"]
    edit_manifest(copy, files=files | {name: "0" * 64})
    with pytest.raises(ArtifactError, match="not a plain file name"):
        artifacts.load(copy)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[]", "must be an object"),
        ("null", "must be an object"),
        ('{"manifest_version": 1}', "manifest_version must be 2 or 3"),
    ],
)
def test_load_of_a_broken_manifest_names_fault_and_remedy(copy: Path, text: str, fault: str):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=rf"manifest\.json: .*{fault}.*MODEL_DIR"):
        artifacts.load(copy)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 7),
        ("version", None),
        ("operating_points", {}),
        ("operating_points", dict.fromkeys(SENSITIVITIES, point(1.5, 0.3))),
        ("operating_points", dict.fromkeys(SENSITIVITIES, point(0.5, "0.3"))),
        ("operating_points", {"balanced": point(0.5, 0.3), "recall": point(0.5, 0.3)}),
        ("temperature", 0),
        ("temperature", "hot"),
        ("bias", None),
        ("bias", float("nan")),
        ("golden_tolerance", -1),
        ("max_length_tokens", 100_000),
        ("files", ["model.int8.onnx"]),
    ],
)
def test_load_of_a_faulty_field_names_it(copy: Path, field: str, value):
    edit_manifest(copy, **{"manifest_version": 3, "bias": 0.0, field: value})
    with pytest.raises(ArtifactError, match=field):
        artifacts.load(copy)


def test_load_of_the_manifest_version_before_has_no_bias(copy: Path):
    edit_manifest(copy, manifest_version=2, bias=1.5)
    assert artifacts.load(copy).manifest.bias == 0.0


def test_golden_scores_that_agree_pass():
    artifact = artifacts.load(SHIPPED)
    scores = np.array([row.scores for row in artifact.golden()])
    assert len(scores) == 20
    artifacts.check_golden(artifact, scores)


@pytest.mark.parametrize("moved_by", [0.5, np.nan])
def test_golden_score_that_differs_names_type_and_sentence(moved_by: float):
    artifact = artifacts.load(SHIPPED)
    scores = np.array([row.scores for row in artifact.golden()])
    scores[2, 5] = (scores[2, 5] + moved_by) % 1
    with pytest.raises(ArtifactError, match=f"{RISK_TYPES[5]} of golden sentence 3"):
        artifacts.check_golden(artifact, scores)


def test_golden_scores_of_another_shape_are_refused():
    artifact = artifacts.load(SHIPPED)
    with pytest.raises(ArtifactError, match="shape"):
        artifacts.check_golden(artifact, np.zeros((1, 37), np.float32))


def test_golden_file_that_cannot_be_read_says_so(copy: Path):
    (copy / "golden.jsonl").write_text('{"text": "no scores"}\n')
    artifact = replace(artifacts.load(SHIPPED), path=copy)
    with pytest.raises(ArtifactError, match=r"golden\.jsonl cannot be read"):
        artifact.golden()


def test_golden_sentences_keep_clear_of_the_thresholds():
    artifact = artifacts.load(SHIPPED)
    scores = np.array([row.scores for row in artifact.golden()])
    point, tolerance = (
        artifact.manifest.operating_points["balanced"],
        artifact.manifest.golden_tolerance,
    )
    assert np.abs(scores - point.thresholds).min() > tolerance
    assert np.abs(risk_scores(scores) - point.risk_threshold).min() > tolerance


def test_probabilities_of_extreme_logits_stay_within_bounds():
    logits = np.array([-1e9, 0.0, 1e9], np.float32)
    found = probabilities(logits, temperature=1.4, bias=0.0)
    assert found.tolist() == [0.0, 0.5, 1.0]


def test_probabilities_bias_is_added_before_the_temperature_divides():
    found = probabilities(np.array([1.0], np.float32), temperature=2.0, bias=3.0)
    assert found[0] == pytest.approx(1 / (1 + np.exp(-2.0)))
