"""An adapter holds what training changed; base and adapter together give the artifact again."""

import json
import shutil

import ml_dtypes
import numpy as np
import pytest
from safetensors import deserialize
from safetensors.numpy import load_file, save_file

from ml.artifact.adapter import join_qkv, merged, split_qkv
from ml.artifact.adapter_writer import low_rank, write_factors
from ml.artifact.base_weights import base_weights
from ml.artifact.quantization import quantized_rows
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.network_config import NetworkConfig
from tests.ml.step import run_step
from tests.support.adapters import (
    MODEL,
    N_LABELS,
    N_LAYERS,
    forge_golden,
    tune,
    write_base,
    write_calibrated_run,
)

RANK = 3


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("base") / "tiny-base")


def weights_of(base):
    return base_weights(base, NetworkConfig(N_LABELS, n_layers=N_LAYERS, architecture="mpnet"))


@pytest.fixture(scope="module")
def config(base, tmp_path_factory):
    """The configuration of a calibrated run whose changes have more than the adapter's rank."""
    folder = tmp_path_factory.mktemp("run")
    return write_calibrated_run(folder, base, rank=RANK + 1, adapter_rank=RANK)


@pytest.fixture(scope="module")
def run(config):
    return config.parent / "run"


@pytest.fixture(scope="module")
def adapter(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters") / "tiny"
    done = run_step("make-adapter", config, folder, "--requirements", "")
    assert done.exit_code == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def built(base, adapter, tmp_path_factory):
    """The folder of models with the artifact that the adapter gives."""
    models = tmp_path_factory.mktemp("models")
    done = run_step("build-artifact", adapter, "--base", base, "--models", models)
    assert done.exit_code == 0, done.stderr
    return models


def test_adapter_and_base_give_the_weights_of_a_run_of_its_rank(base, tmp_path):
    state = tune(weights_of(base), RANK)
    loss = write_factors(state, weights_of(base), tmp_path / "factors.safetensors", rank=RANK)
    assert loss.kept > 0.9999
    again = merged(weights_of(base), tmp_path / "factors.safetensors")
    assert again.keys() == state.keys()
    for name, value in state.items():
        assert np.abs(again[name] - value).max() < 2e-3, name


def test_adapter_leaves_out_the_rounding_of_the_tables_that_a_training_starts_from(base, tmp_path):
    """A training that starts from an artifact finds its words as eight-bit integers."""
    state = tune(weights_of(base), RANK)
    expected = write_factors(state, weights_of(base), tmp_path / "exact.safetensors", rank=RANK)
    ints, scale = quantized_rows(state["words.weight"], 8)
    state["words.weight"] = ints * scale[:, None]
    rounded = write_factors(state, weights_of(base), tmp_path / "rounded.safetensors", rank=RANK)
    assert rounded == expected
    state["words.weight"][0] += scale[0]
    trained = write_factors(state, weights_of(base), tmp_path / "trained.safetensors", rank=RANK)
    assert trained.n_bytes > expected.n_bytes


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


def test_built_artifact_has_the_integers_and_golden_sentences_of_the_exported_one(run, built):
    for name in ("weights.safetensors", "golden.jsonl", "reference.json"):
        assert (built / MODEL / name).read_bytes() == (run / "model" / name).read_bytes()
    assert (run / "model/golden.jsonl").read_text().count("\n") == 20


def test_built_artifact_has_its_matrices_in_bfloat16(base, run, built):
    path = artifacts.load(built / MODEL).float_weights
    tensors = dict(deserialize(path.read_bytes()))
    expected = merged(weights_of(base), run / "adapter.safetensors")
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


def test_export_reports_the_loss_of_a_lower_rank(base, tmp_path):
    state, path = tune(weights_of(base), RANK), tmp_path / "factors.safetensors"
    loss = write_factors(state, weights_of(base), path, rank=1)
    assert 0.4 < loss.worst <= loss.kept < 0.9


def test_adapter_of_an_artifact_with_other_weights_names_the_steps(config, run, tmp_path):
    copy = shutil.copytree(config.parent, tmp_path / "copy")
    other = copy / "tiny.toml"
    other.write_text(config.read_text().replace(str(config.parent), str(copy)))
    tensors = load_file(run / "adapter.safetensors")
    save_file(tensors | {"head.bias": tensors["head.bias"] + 1}, copy / "run/adapter.safetensors")
    refused = run_step("make-adapter", other, tmp_path / "out")
    assert refused.exit_code == 1
    assert "does not have the weights" in refused.stderr
    assert "ml export CONFIG" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_adapter_without_its_rank_names_the_setting(config, tmp_path):
    plain = tmp_path / "plain.toml"
    plain.write_text(config.read_text().replace(f"adapter_rank = {RANK}", "adapter_rank = 0"))
    refused = run_step("make-adapter", plain, tmp_path / "out")
    assert (refused.exit_code, "set [artifact] adapter_rank" in refused.stderr) == (1, True)


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
