"""Gate records: what is written is read again, and a damaged one names its fields and the remedy."""

import json

import pytest

from service.errors import ArtifactError
from service.nlp.artifacts.registry import (
    GateRecord,
    Registry,
    gate_path,
    read_gate,
    write_gate,
)
from tests.support.artifacts import NAME, SHIPPED, VERSION, make_artifact

RECORD = GateRecord(
    model="tiny/1.0.0",
    manifest_sha256="0" * 64,
    against="tiny/0.9.0",
    passed=False,
    reasons=("recall fell",),
    figures={"difference": {"mean_f1": [0.1, -0.2, 0.3]}},
)


def test_written_record_is_read_again(tmp_path):
    path = gate_path(tmp_path, "record")
    write_gate(path, RECORD)
    assert read_gate(path) == RECORD
    assert [p.name for p in tmp_path.iterdir()] == ["record.gate.json"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"passed": 1}, "passed must be a valid boolean"),
        ({"reasons": "all"}, "reasons must be"),
        ({"model": None}, "model must be a valid string"),
        ({"verdict": "good"}, "verdict is unknown"),
    ],
)
def test_invalid_record_names_field_and_remedy(tmp_path, change, fault):
    path = tmp_path / "record.gate.json"
    path.write_text(json.dumps(json.loads(RECORD.model_dump_json()) | change))
    with pytest.raises(ArtifactError, match=rf"{path}: {fault}.*-m ml register"):
        read_gate(path)


def test_missing_record_names_path_and_remedy(tmp_path):
    with pytest.raises(ArtifactError, match=r"none\.json cannot be read.*-m ml register"):
        read_gate(tmp_path / "none.json")


def test_registry_knows_default_and_shipped_models_outside_its_folder(tmp_path):
    default, registered = (
        make_artifact(tmp_path / d, v) for d, v in (("a", "0.1.0"), ("b", "0.2.0"))
    )
    registry = Registry(tmp_path / "b", tmp_path / "a" / default, shipped=[SHIPPED])
    shipped = f"{NAME}/{VERSION}"
    assert registry.models() == sorted([default, registered, shipped])
    assert registry.verified(shipped).path == SHIPPED
    assert registry.default_model() == default
