"""A small MPNet base and a fine-tuned model of it, of random weights, as files that `ml` reads."""

import json
import shutil
from collections.abc import Iterator

import numpy as np
from safetensors.numpy import save_file

from ml.artifact.golden_sentences import CANDIDATES, golden_lines
from ml.artifact.manifest_writer import manifest_fields, write_manifest
from ml.artifact.network import write_network
from ml.artifact.outputs import sentence_outputs
from service.nlp.artifacts import artifact as artifacts
from service.nlp.inference.network_config import NetworkConfig
from service.nlp.inference.onnx_engine import OnnxEngine
from tests.support.artifacts import SHIPPED

HIDDEN, FFN, N_LAYERS, N_LABELS = 48, 96, 2, 37
NETWORK = NetworkConfig(
    n_labels=N_LABELS,
    hidden_size=HIDDEN,
    intermediate_size=FFN,
    n_layers=N_LAYERS,
    n_heads=4,
    vocab_size=30522,
    max_positions=512,
    layer_norm_eps=1e-5,
    architecture="mpnet",
    pooling="first",
)
MODEL = "tiny-accurate/0.1.0"


def write_base(folder):
    """Write model.safetensors with the tensor names of transformers."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    save_file({n: _tensor(n, shape, rng) for n, shape in _shapes()}, folder / "model.safetensors")
    return folder


def tune(base, rank, *, seed=1):
    """Return the weights of a fine-tuning: changes of this rank, other norms, and a head."""
    rng = np.random.default_rng(seed)
    state = {name: value.copy() for name, value in base.items()}
    for name, value in state.items():
        if name.startswith("layers.") and value.ndim == 2:
            rows = np.split(value, 3) if "qkv" in name else [value]
            for part in rows:
                up, down = (
                    rng.normal(size=(len(part), rank)),
                    rng.normal(size=(rank, part.shape[1])),
                )
                part[:] += 0.03 * up @ down
        elif "norm.weight" in name:
            value[:] *= 1.1
    head = rng.normal(size=(N_LABELS, HIDDEN)) * 0.15
    state["head.weight"] = head.astype(np.float32)
    state["head.bias"] = np.full(N_LABELS, -6, np.float32)
    return state


def write_run(folder, state):
    """Write a finished run: weights, and the calibrated artifact in its folder `model`."""
    model = folder / "model"
    write_network(state, NETWORK, model, bits=7)
    save_file(state, folder / "model.safetensors")
    for name in ("tokenizer.json", "reference.json", "README.md", "LICENSE", "NOTICE"):
        shutil.copyfile(SHIPPED / name, model / name)
    (model / "golden.jsonl").write_text("")
    name, version = MODEL.split("/")
    fields = manifest_fields(SHIPPED) | {"name": name, "version": version, "weight_bits": 7}
    write_manifest(model, fields)
    artifact = artifacts.load(model)
    outputs = sentence_outputs(artifact, OnnxEngine(artifact, n_threads=1), CANDIDATES)
    point = artifact.manifest.operating_points["balanced"]
    scores = artifact.manifest.probabilities(outputs)
    lines = golden_lines(CANDIDATES, scores, point, artifact.manifest)
    (model / "golden.jsonl").write_text("\n".join(lines) + "\n")
    write_manifest(model, fields)
    return folder


def forge_golden(adapter):
    """Change the first golden score of an adapter's folder."""
    path = adapter / "golden.jsonl"
    first, *others = path.read_text().splitlines()
    row = json.loads(first)
    row["scores"] = dict.fromkeys(row["scores"], 0.5)
    path.write_text("\n".join([json.dumps(row), *others]) + "\n")


def _tensor(name, shape, rng):
    noise = rng.normal(size=shape)
    if name.endswith("LayerNorm.weight"):
        noise = 1 + 0.2 * noise
    elif len(shape) == 1:
        noise = 0.1 * noise
    elif name.startswith("encoder.layer"):
        noise = noise * shape[1] ** -0.5
    return noise.astype(np.float32)


def _shapes() -> Iterator[tuple[str, tuple[int, ...]]]:
    yield "embeddings.word_embeddings.weight", (30522, HIDDEN)
    yield "embeddings.position_embeddings.weight", (514, HIDDEN)
    yield "encoder.relative_attention_bias.weight", (32, 4)
    norms = ["embeddings.LayerNorm"]
    for n in range(N_LAYERS):
        layer = f"encoder.layer.{n}"
        for part in (
            "attention.attn.q",
            "attention.attn.k",
            "attention.attn.v",
            "attention.attn.o",
        ):
            yield from _linear(f"{layer}.{part}", HIDDEN, HIDDEN)
        yield from _linear(f"{layer}.intermediate.dense", FFN, HIDDEN)
        yield from _linear(f"{layer}.output.dense", HIDDEN, FFN)
        norms += [f"{layer}.attention.LayerNorm", f"{layer}.output.LayerNorm"]
    for norm in norms:
        yield f"{norm}.weight", (HIDDEN,)
        yield f"{norm}.bias", (HIDDEN,)


def _linear(name, n_out, n_in):
    yield f"{name}.weight", (n_out, n_in)
    yield f"{name}.bias", (n_out,)
