"""A rebuilt graph becomes a new version over the same weights, or is refused."""

import json
import shutil
from pathlib import Path

import onnx
import pytest

from ml.artifact.graph_rebuild import rebuild
from ml.artifact.manifest_writer import manifest_fields, write_manifest
from ml.corpus.dataset import read_examples
from service.config.settings import ROOT
from service.errors import ArtifactError
from service.nlp.analyzers.local import LocalAnalyzer
from service.nlp.artifacts import artifact as artifacts
from service.nlp.artifacts.artifact import (
    CONFIG_FILE,
    EXIT_FILE,
    GOLDEN_FILE,
    ONNX_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
)
from service.nlp.inference.network_config import read_network_config
from service.nlp.taxonomy import built_in
from tests.ml.step import run_step
from tests.support.artifacts import SHIPPED, VERSION, make_artifact

KEPT = {
    CONFIG_FILE,
    GOLDEN_FILE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    "reference.json",
    "LICENSE",
    "NOTICE",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Sixty labelled sentences."""
    lines = (ROOT / "ml/data/authored-d.jsonl").read_text().splitlines(keepends=True)
    path = tmp_path_factory.mktemp("data") / "some.jsonl"
    path.write_text("".join(lines[:60]))
    return path


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    """The shipped artifact with another graph, which computes the same."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path_factory.mktemp("models") / "1.0.0"))
    model = onnx.load(folder / ONNX_FILE, load_external_data=False)
    model.producer_name = "another"
    (folder / ONNX_FILE).write_bytes(model.SerializeToString())
    write_manifest(folder, manifest_fields(folder) | {"version": "1.0.0"})
    return folder


@pytest.fixture(scope="module")
def rebuilt(old: Path, data: Path) -> Path:
    assert run_step("rebuild-graph", old, "1.0.1", "--data", data).exit_code == 0
    return old.parent / "1.0.1"


def test_rebuilt_version_serves_with_the_current_graph(rebuilt: Path):
    assert (rebuilt / ONNX_FILE).read_bytes() == (SHIPPED / ONNX_FILE).read_bytes()
    LocalAnalyzer.open(rebuilt, device="cpu", n_threads=1).close()


@pytest.mark.parametrize("name", sorted(KEPT))
def test_rebuilt_version_keeps_the_file(old: Path, rebuilt: Path, name: str):
    assert (rebuilt / name).read_bytes() == (old / name).read_bytes()


def test_rebuilt_version_keeps_calibration_and_figures(old: Path, rebuilt: Path):
    before, after = (json.loads((f / "manifest.json").read_text()) for f in (old, rebuilt))
    changed = {key for key in before if before[key] != after[key]}
    assert changed <= {"version", "created_at", "code_commit", "files", "metrics"}
    added = after["metrics"].pop("regraphed")
    assert added["from"] == "1.0.0"
    assert set(added["f1_differs_points"]) == {"risk_f1", "category_f1", "type_f1"}
    before["metrics"].pop("regraphed", None)
    assert after["metrics"] == before["metrics"]


def test_rebuilt_model_card_describes_the_change(rebuilt: Path):
    card = (rebuilt / "README.md").read_text()
    assert card.startswith("# riskscan-fast 1.0.1\n")
    assert "1.0.1 is 1.0.0 with another graph" in card
    assert "## How well it does" in card


@pytest.mark.parametrize("version", ["1.0.0", "../1.0.2", "", "a/b"])
def test_rebuild_as_an_existing_or_odd_version_is_refused(old: Path, data: Path, version: str):
    refused = run_step("rebuild-graph", old, version, "--data", data)
    assert (refused.exit_code, "not a new version" in refused.stderr) == (1, True)


def test_rebuild_that_misses_golden_scores_is_refused(tmp_path: Path, data: Path):
    make_artifact(tmp_path, "1.0.0", sharpness=3.0, is_honest=False)
    [old] = tmp_path.glob("*/1.0.0")
    with pytest.raises(ArtifactError, match="golden scores"):
        rebuild(old, "1.0.1", read_examples(data, built_in()))
    assert [path.name for path in old.parent.iterdir()] == ["1.0.0"]


def test_shipped_graph_equals_the_one_that_the_code_builds(tmp_path: Path):
    from ml.artifact.network import write_graph  # noqa: PLC0415 - imports torch

    for name in (WEIGHTS_FILE, EXIT_FILE):
        if (SHIPPED / name).is_file():
            shutil.copy(SHIPPED / name, tmp_path)
    write_graph(read_network_config(SHIPPED / CONFIG_FILE), tmp_path)
    assert (tmp_path / ONNX_FILE).read_bytes() == (SHIPPED / ONNX_FILE).read_bytes()
    assert artifacts.load(SHIPPED).manifest.version == VERSION
