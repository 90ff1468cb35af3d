"""Both engines give the golden scores, and a row's outputs do not depend on the other rows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.errors import ArtifactError
from service.nlp.artifacts.artifact import Artifact, check_golden
from service.nlp.inference import cuda
from service.nlp.inference.neighbour_context import own_logits
from service.nlp.inference.onnx_engine import OnnxEngine
from service.nlp.inference.torch_engine import TorchEngine
from service.nlp.taxonomy import built_in
from tests.nlp.conftest import NEEDS_TORCH

RISK_TYPES = built_in().risk_types


@pytest.fixture(scope="module")
def onnx(artifact: Artifact) -> OnnxEngine:
    return OnnxEngine(artifact, n_threads=1)


@pytest.fixture(scope="module")
def torch_cpu(artifact: Artifact) -> TorchEngine:
    return TorchEngine(artifact, device="cpu", n_threads=1)


def encoded(artifact: Artifact, texts):
    """Return token ids and mask, padded to the longest."""
    tokenizer = artifact.tokenizer()
    tokenizer.enable_padding()
    encodings = tokenizer.encode_batch(texts)
    ids = np.array([e.ids for e in encodings], np.int64)
    return ids, np.array([e.attention_mask for e in encodings], np.int64)


def scored(artifact: Artifact, engine, texts):
    return artifact.manifest.probabilities(
        own_logits(engine.outputs(*encoded(artifact, texts)), len(RISK_TYPES))
    )


def found(artifact: Artifact, engine, text):
    balanced = artifact.manifest.operating_points["balanced"]
    (hits,) = balanced.decide(scored(artifact, engine, [text]))
    return {RISK_TYPES[k] for k in np.flatnonzero(hits)}


@pytest.mark.parametrize("end", ["", "."])
def test_onnx_tight_budget_and_aggressive_deadline_are_found_alone(artifact, onnx, end):
    text = "Project has tight budget and aggressive deadline" + end
    assert found(artifact, onnx, text) == {"tight-budget", "aggressive-deadline"}


@pytest.mark.parametrize(
    "text", ["The API returns JSON.", "The budget is 40,000 EUR.", "The deadline is 12 May."]
)
def test_onnx_neutral_sentence_gives_no_finding(artifact, onnx, text):
    assert found(artifact, onnx, text) == set()


def test_onnx_outputs_give_the_golden_scores(artifact, onnx):
    check_golden(artifact, scored(artifact, onnx, [row.text for row in artifact.golden()]))


@NEEDS_TORCH
def test_torch_outputs_give_the_golden_scores(artifact, torch_cpu):
    """Measured: 0.026 is the largest difference from ONNX, which alone rounds activations."""
    check_golden(artifact, scored(artifact, torch_cpu, [row.text for row in artifact.golden()]))


@NEEDS_TORCH
def test_torch_in_bfloat16_gives_the_golden_scores(artifact, torch_cpu):
    """The arithmetic that CUDA uses, on the processor: 0.026 as well."""
    import torch  # noqa: PLC0415 - absent from the CPU image

    texts = [row.text for row in artifact.golden()]
    with torch.autocast("cpu", torch.bfloat16):
        check_golden(artifact, scored(artifact, torch_cpu, texts))


@pytest.mark.parametrize("name", ["onnx", pytest.param("torch_cpu", marks=NEEDS_TORCH)])
def test_outputs_in_a_mixed_batch_equal_those_alone(artifact, request, name):
    engine = request.getfixturevalue(name)
    texts = [row.text for row in artifact.golden()[:12]] + ["No.", "The pump may fail. " * 15]
    together = scored(artifact, engine, texts)
    alone = np.concatenate([scored(artifact, engine, [text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-5


@pytest.mark.parametrize("name", ["onnx", pytest.param("torch_cpu", marks=NEEDS_TORCH)])
def test_outputs_of_one_token_and_of_a_full_window_are_finite(artifact, request, name):
    engine = request.getfixturevalue(name)
    for length in (1, artifact.manifest.max_length_tokens):
        ids = np.full((2, length), 2000, np.int64)
        outputs = engine.outputs(ids, np.ones_like(ids))
        assert outputs.shape == (2, engine.n_outputs)
        assert outputs.dtype == np.float32
        assert np.isfinite(outputs).all()


@pytest.mark.parametrize("name", ["model.int8.onnx", "weights.safetensors"])
def test_onnx_truncated_file_names_the_graph(artifact, tmp_path: Path, name: str):
    for other in ("model.int8.onnx", "weights.safetensors"):
        content = (artifact.path / other).read_bytes()
        (tmp_path / other).write_bytes(content[:20_000] if other == name else content)
    with pytest.raises(ArtifactError, match=r"cannot load .*model\.int8\.onnx"):
        OnnxEngine(replace(artifact, path=tmp_path), n_threads=1)


@pytest.mark.gpu
@pytest.mark.skipif(cuda.probe().fault() is not None, reason="needs a CUDA device")
def test_torch_on_cuda_gives_the_golden_scores(artifact):
    engine = TorchEngine(artifact, device="cuda", n_threads=1)
    check_golden(artifact, scored(artifact, engine, [row.text for row in artifact.golden()]))
