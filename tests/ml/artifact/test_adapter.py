"""An adapter holds what training changed; base and adapter together give the artifact again."""

import json
import shutil

import ml_dtypes
import numpy as np
import pytest
from safetensors import deserialize
from safetensors.numpy import load_file

from ml.artifact.adapter import join_qkv, merged, split_qkv
from ml.artifact.adapter_writer import low_rank
from ml.artifact.base_weights import base_weights
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.onnx_engine import OnnxEngine
from tests.ml.step import run_step
from tests.support.adapters import MODEL, NETWORK, forge_golden, tune, write_base, write_run

RANK = 3


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base") / "tiny-base")


@pytest.fixture(scope="module")
def run(base, tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"), tune(base_weights(base, NETWORK), RANK))


@pytest.fixture(scope="module")
def adapter(base, run, tmp_path_factory):
    """An adapter of the rank of the changes."""
    folder = tmp_path_factory.mktemp("adapters") / "tiny"
    done = run_step("make-adapter", run, base, folder, "--rank", RANK, "--requirements", "")
    assert done.exit_code == 0, done.stderr
    assert "keeps 100.00 % of the norm" in done.stdout
    return folder


@pytest.fixture(scope="module")
def built(base, adapter, tmp_path_factory):
    """The folder of models with the artifact that the adapter gives."""
    models = tmp_path_factory.mktemp("models")
    done = run_step("build-artifact", adapter, "--base", base, "--models", models)
    assert done.exit_code == 0, done.stderr
    return models


def test_adapter_and_base_give_the_weights_again(base, run, adapter):
    state = merged(base_weights(base, NETWORK), adapter)
    expected = load_file(run / "model.safetensors")
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        assert np.abs(state[name] - value).max() < 2e-3, name


def test_adapter_has_the_artifact_without_what_the_weights_decide(run, adapter):
    names = {path.name for path in adapter.iterdir()}
    assert names == {
        "adapter.json",
        "adapter.safetensors",
        *(path.name for path in (run / "model").iterdir()),
    } - {"manifest.json", "config.json", "weights.safetensors", "model.int8.onnx"}
    described = json.loads((adapter / "adapter.json").read_text())
    assert described["base"]["sha256"].keys() == {"model.safetensors"}
    assert (described["rank"], described["network"]["pooling"]) == (RANK, "first")


def test_built_artifact_scores_as_the_exported_one(run, built):
    exported, rebuilt = (artifacts.load(f) for f in (run / "model", built / MODEL))
    ids = np.random.default_rng(2).integers(5, 30000, size=(4, 30))
    ours, theirs = (
        OnnxEngine(a, n_threads=1).outputs(ids, np.ones_like(ids)) for a in (rebuilt, exported)
    )
    assert np.abs(ours - theirs).max() < 0.05 * theirs.std()


def test_built_artifact_has_its_matrices_in_bfloat16(run, built):
    path = artifacts.load(built / MODEL).float_weights
    tensors, expected = dict(deserialize(path.read_bytes())), load_file(run / "model.safetensors")
    assert tensors.keys() == expected.keys()
    halved = {name for name, tensor in tensors.items() if tensor["dtype"] == "BF16"}
    assert {"words.weight", "layers.0.qkv.weight"} <= halved
    assert not halved & {"head.weight", "layers.0.ffn_norm.weight", "relative.weight"}
    for name in halved:
        values = np.frombuffer(tensors[name]["data"], ml_dtypes.bfloat16).astype(np.float32)
        difference = values - expected[name].ravel()
        assert np.abs(difference).max() < 0.02 * np.abs(expected[name]).max()


def test_build_again_verifies_and_changes_nothing(adapter, built):
    manifest = built / MODEL / "manifest.json"
    before = manifest.stat().st_mtime_ns
    again = run_step("build-artifact", adapter, "--models", built)
    assert (again.exit_code, "is built already" in again.stdout) == (0, True)
    assert manifest.stat().st_mtime_ns == before


def test_build_of_another_adapter_of_this_version_is_refused(base, adapter, built, tmp_path):
    other = shutil.copytree(adapter, tmp_path / "other")
    (other / "README.md").write_text("Changed.")
    refused = run_step("build-artifact", other, "--base", base, "--models", built)
    assert (refused.exit_code, "Remove that folder" in refused.stderr) == (1, True)


def test_build_from_another_base_is_refused_with_its_name(base, adapter, tmp_path):
    other = shutil.copytree(base, tmp_path / "other")
    with (other / "model.safetensors").open("ab") as file:
        file.write(b"?")
    refused = run_step("build-artifact", adapter, "--base", other, "--models", tmp_path / "models")
    assert refused.exit_code == 1
    assert "is not that of sentence-transformers/all-MiniLM-L6-v2" in refused.stderr


def test_build_that_misses_golden_scores_leaves_nothing(base, adapter, tmp_path):
    forged = shutil.copytree(adapter, tmp_path / "forged")
    forge_golden(forged)
    refused = run_step("build-artifact", forged, "--base", base, "--models", tmp_path / "models")
    assert (refused.exit_code, "golden scores" in refused.stderr) == (1, True)
    assert list((tmp_path / "models").glob("*/*")) == []


def test_make_adapter_reports_the_loss_of_a_lower_rank(base, run, tmp_path):
    lower = run_step("make-adapter", run, base, tmp_path / "lower", "--rank", 1)
    kept = float(lower.stdout.partition("keeps ")[2].partition(" %")[0])
    assert 40 < kept < 90


def test_low_rank_is_the_closest_of_its_rank():
    matrix = np.random.default_rng(5).normal(size=(20, 30))
    up, down = low_rank(matrix, 4)
    lost = np.linalg.norm(matrix - up.astype(float) @ down.astype(float))
    sizes = np.linalg.svd(matrix, compute_uv=False)
    assert lost == pytest.approx(np.linalg.norm(sizes[4:]), rel=1e-3)


def test_split_qkv_is_undone_by_join_qkv():
    state = {
        "layers.0.qkv.weight": np.arange(24, dtype=np.float32).reshape(12, 2),
        "layers.0.qkv.bias": np.arange(12, dtype=np.float32),
        "layers.0.ffn_in.weight": np.ones((2, 2), np.float32),
    }
    joined = join_qkv(split_qkv(state))
    assert joined.keys() == state.keys()
    assert all((joined[name] == value).all() for name, value in state.items())
