"""The verdict on a candidate, and its copy in the registry."""

import json

import pytest

from ml.artifact import registration
from service.config.settings import ROOT
from service.errors import ArtifactError
from service.nlp.artifacts import artifact as artifacts
from tests.support.artifacts import NAME, SHIPPED, damage, make_artifact
from tests.support.own_taxonomy import MODEL, OWN, make_own_artifact

DATA = ROOT / "ml/data/authored-d.jsonl"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The shipped model, and one that reports hardly anything."""
    folder = tmp_path_factory.mktemp("candidates")
    make_artifact(folder, "2.0.0")
    make_artifact(folder, "0.1.0", risk_threshold=0.9999)
    return folder / NAME


@pytest.fixture(scope="module")
def record(folders):
    """The verdict on the shipped model against the one that reports hardly anything."""
    return registration.decide(registration.Request(folders / "2.0.0", [DATA], folders / "0.1.0"))


def test_decide_again_gives_the_same_verdict(folders, record):
    again = registration.decide(registration.Request(folders / "2.0.0", [DATA], folders / "0.1.0"))
    assert (again.figures, again.reasons) == (record.figures, record.reasons)


def test_register_other_content_under_a_taken_version_is_refused(folders, record, tmp_path):
    target = registration.register(folders / "2.0.0", tmp_path, record)
    registration.register(folders / "2.0.0", tmp_path, record)  # the same again is no fault
    manifest = json.loads((target / "manifest.json").read_text())
    (target / "manifest.json").write_text(json.dumps(manifest | {"code_commit": "other"}))
    with pytest.raises(registration.RegisterError, match="a version never changes"):
        registration.register(folders / "2.0.0", tmp_path, record)


def test_registered_copy_is_whole_and_verified(folders, record, tmp_path):
    target = registration.register(folders / "2.0.0", tmp_path, record)
    manifest = artifacts.load(target).manifest
    assert {p.name for p in target.iterdir()} == {*manifest.files, "manifest.json"}


def test_model_with_other_risk_types_is_refused_and_registered_by_force(tmp_path):
    make_own_artifact(tmp_path)
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps({"text": "It is due on Monday.", "labels": ["rush"]}) + "\n")
    request = registration.Request(tmp_path / MODEL, [data], SHIPPED, force=True, why="Our own.")
    record = registration.decide(request)
    assert (record.passed, record.forced, record.figures) == (False, True, {})
    assert "other risk types" in registration.report(record)
    target = registration.register(tmp_path / MODEL, tmp_path / "registry", record)
    assert artifacts.load(target).taxonomy == OWN


def test_decide_on_an_altered_artifact_is_refused(tmp_path):
    damage(tmp_path, make_artifact(tmp_path, "3.0.0"))
    with pytest.raises(ArtifactError, match="was altered"):
        registration.decide(registration.Request(tmp_path / NAME / "3.0.0", [DATA], SHIPPED))
